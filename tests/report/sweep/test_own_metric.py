"""A metric that is no part of lexy, from the per-frame table to every place where metrics are shown."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from sweep_files import settings, write_run

from lexy.cli.report import main
from lexy.evaluation.evaluate import evaluate_all
from lexy.evaluation.metrics import METRICS, Metric
from lexy.evaluation.result_tables import Tables
from lexy.evaluation.worst_frame import worst_frame
from lexy.report.console import comparison_table, summary_table
from lexy.report.markdown import comparison_markdown, differences_markdown
from lexy.report.wandb_run import WandbRun
from lexy.tasks.epoch_metrics import EpochMetrics


def area_error(frames):
    area, true = (masks.sum((1, 2)).double() for masks in (frames.predicted, frames.truth))
    return 100 * (area - true).abs() / true


OWN = Metric("area_error", "area off", "%", decimals=1, larger_is_better=False, compute=area_error, validated=True)


@pytest.fixture
def listed(monkeypatch):
    monkeypatch.setattr("lexy.evaluation.metrics.METRICS", (*METRICS, OWN))


def clips(groups=4, length=3):
    """A square of 8 × 8 pixels in each frame."""
    masks = torch.zeros(groups, length, 1, 24, 24)
    masks[..., 6:14, 6:14] = 1
    return {
        "frames": masks * 0.5 + torch.rand(masks.shape, generator=torch.Generator().manual_seed(0)),
        "masks": masks,
        "labelled": torch.ones(groups, length, dtype=torch.bool),
        "video": [f"v{at}" for at in range(groups)],
        "group": [f"g{at}" for at in range(groups)],
        "frame": torch.arange(length).repeat(groups, 1),
    }


def right(clip):
    return clip["masks"] - 0.5


def wider(clip):
    """Two columns more: 25 % of the square."""
    return (clip["masks"] + clip["masks"].roll(2, -1)).clamp(max=1) - 0.5


def evaluated():
    tables = evaluate_all({"network": right, "wider": wider}, [clips()])
    facts = {"data": "d", "start": "none", "rollout": "free-running"}
    return {name: table.assign(method=name, **facts) for name, table in tables.items()}


def printed(table):
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_it_is_in_tables_console_and_markdown(listed):
    frames = evaluated()
    assert (frames["network"]["area_error"] == 0).all()
    assert (frames["wider"]["area_error"] == 25).all()
    assert worst_frame(frames["wider"].assign(area_error=[*[25.0] * 11, 33.0]), "area_error").mean > 25
    tables = Tables.of(frames, "network")
    assert tables.summary.loc["area_error", "mean"] == 0
    assert tables.comparison.loc["wider", "area_error_difference"] == -25
    assert "│ area_error " in printed(summary_table(tables.summary, "t", embedded=False))
    assert "25.000 (25.000–25.000)*" in printed(comparison_table(tables.comparison, "t", embedded=False))
    shown = comparison_markdown(tables.comparison)
    assert "| area off, % |" in shown
    assert "| 25.0 (25.0–25.0) |" in shown
    assert "| -25.0 (-25.0 to -25.0) * |" in differences_markdown(tables.comparison)


def test_it_is_in_the_validation(listed):
    epoch = EpochMetrics()
    epoch.update(wider(clips()) >= 0, clips())
    assert epoch.compute()["area_error"] == 25


def test_it_is_in_wandb(listed, tmp_path):
    logger = WandbRun(tmp_path, "id", config={}, tags=[], job_type="evaluate")
    logger.log_results({"test": Tables.of(evaluated(), "network")}, [])
    assert logger.experiment.summary["test/area_error/mean"] == 0
    logger.finish(0)
    (table,) = tmp_path.rglob("media/table/test/frames*.json")
    assert '"area_error"' in table.read_text()


def reported(folder):
    for at, model in enumerate(("unet", "tracknet")):
        values = np.linspace(0.0, 9.0, 12) + at
        write_run(folder / f"{model}-0000000{at}", np.full((4, 3), 0.5), settings(model=model), area_error=values)
    main([str(folder)])
    return folder / "report"


def test_it_is_in_the_page_and_the_files_beside_it(listed, tmp_path):
    report = reported(tmp_path)
    page = (report / "page.html").read_text()
    assert ">area off, %</th>" in page
    assert "N/C error; area off, %." in page  # of which lower is better
    for name in ("comparison.csv", "differences.csv"):
        assert "area_error" in set(pd.read_csv(report / name)["metric"])
    assert "| area off, % |" in (report / "comparison.md").read_text()
    assert r"& area off, \% &" in (report / "comparison.tex").read_text()


def test_a_report_by_a_lexy_that_does_not_list_it_shows_it_under_its_name(tmp_path):
    report = reported(tmp_path)
    assert ">area error</th>" in (report / "page.html").read_text()
    assert "| area error |" in (report / "comparison.md").read_text()
    assert "area_error" in set(pd.read_csv(report / "comparison.csv")["metric"])
