"""Lay out the standard comparison as a W&B workspace: quality, drift, learning, pictures, importance.

    python scripts/wandb_workspace.py ENTITY/PROJECT           # shows it as JSON, sends nothing
    python scripts/wandb_workspace.py ENTITY/PROJECT --save    # lays it out there (needs wandb login)

Needs `pip install "lexy[workspace]"`.
"""

import argparse
import json
from typing import Any

import wandb_workspaces.reports.v2 as panels
import wandb_workspaces.workspaces as workspaces

from lexy.evaluation.metrics import METRICS

PICTURES = ("worst", "median", "best", "curves", "clips")


def workspace(entity: str, project: str) -> workspaces.Workspace:
    """Return the layout: sections of panels over what `lexy.report.wandb_run` logs."""
    compared = [each for each in METRICS if each.compared and not each.of_sequences]
    quality = [panels.BarPlot(title=each.title, metrics=[_summary(f"test/{each.name}/mean")]) for each in compared]
    intervals = [
        panels.ScatterPlot(
            title=f"Dice, {end} end of its interval", x=_summary("test/dice/mean"), y=_summary(f"test/dice/{end}")
        )
        for end in ("low", "high")
    ]
    learning = [panels.LinePlot(title=name, x="epoch", y=[name]) for name in ("train/loss", "val/loss", "val/dice")]
    pictures = [panels.MediaBrowser(title=name, media_keys=[f"panels/{name}"]) for name in PICTURES]
    mattered = [panels.ParameterImportancePlot(with_respect_to="val/dice"), panels.RunComparer(diff_only="split")]
    named: dict[str, list[Any]] = {
        "Quality on the test split": [*quality, *intervals],
        "Learning": learning,
        "Pictures: worst and best, drift over time, clips": pictures,
        "What mattered": mattered,
    }
    sections = [workspaces.Section(name=name, panels=items, is_open=True) for name, items in named.items()]
    return workspaces.Workspace(entity=entity, project=project, name="Standard comparison", sections=sections)


def _summary(key: str) -> panels.SummaryMetric:
    return panels.SummaryMetric(key)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", metavar="ENTITY/PROJECT")
    parser.add_argument("--save", action="store_true", help="send it to the W&B server")
    given = parser.parse_args()
    entity, _, project = given.place.partition("/")
    if not (entity and project):
        parser.error(f"{given.place}: write ENTITY/PROJECT")
    layout = workspace(entity, project)
    if given.save:
        layout.save()
        print(layout.url)
    else:
        print(json.dumps(layout._to_model().model_dump(mode="json"), indent=2))


if __name__ == "__main__":
    main()
