"""`lexy-evaluate`: metrics of a checkpoint on a split of any data."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge
from omegaconf import DictConfig, OmegaConf

from lexy.cli.hydra_app import run_command
from lexy.config.check import resolved
from lexy.files import replacing
from lexy.runs.folder import Status
from lexy.runs.identity import commit
from lexy.sweeps.command import Command
from lexy.sweeps.jobs import SweepConfig

if TYPE_CHECKING:
    from lexy.data.base import ClipData


@dataclass
class EvaluateConfig:
    """Keys of the config's top level."""

    data: Any
    model: Any
    start: Any
    direction: Any
    logger: Any
    paths: Any
    checkpoint: str
    frame_network: str | None
    split: Literal["train", "val", "test"]
    allow: list[str]
    device: str
    sweep: SweepConfig
    threads: Annotated[int, Ge(1)] | None = None


def main() -> None:
    """Entry point of the command."""
    run_command(Command("evaluate", "lexy.cli.evaluate.evaluate", EvaluateConfig, preload=("lexy.runs.evaluation",)))


def evaluate(config: DictConfig) -> None:
    """Evaluate a checkpoint, or several together, write the tables and show their summary.

    The folder's name holds a digest of the checkpoints, of how they are used and of the data: the same evaluation has
    the same folder.
    """
    from lexy.config.build import build
    from lexy.data.base import checked
    from lexy.files import fingerprint, sha256
    from lexy.report.console import show_results
    from lexy.runs.evaluation import baselines, check_not_trained_on, checkpoint_files, draw_pictures, evaluate_split
    from lexy.runs.tracking import build_loggers
    from lexy.tasks.inference import Predictor
    from lexy.threads import use_threads

    plain = resolved(config)
    use_threads(config.get("threads"))
    data = checked(build(config.data, "data"))
    files = list(dict.fromkeys([config.checkpoint, *checkpoint_files(plain)]))
    if config.split == "test":
        check_not_trained_on(files, data)
    network, start = build(config.model, "model"), build(config.start, "start")
    predict = Predictor(network, start, build(config.direction, "direction"), config.device)
    others = baselines(predict, data, config.frame_network, list(config.allow))
    digests = [sha256(Path(path)) for path in files]  # the one that is evaluated first
    facts = {"run": Path(config.checkpoint).resolve().parent.name, "checkpoint": digests[0][:16]}
    tables = evaluate_split(predict, data, config.split, facts, others)
    used = fingerprint([*digests, *(_without_paths(plain[group]) for group in ("model", "start", "direction"))])
    fold = "" if data.fold is None else f"-fold{data.fold}"
    name = f"{Path(config.checkpoint).stem}-{used[:8]}-{data.name}{fold}-{data.fingerprint()[:8]}"
    folder = Path(config.paths.outputs) / "evaluations" / name
    tables.write(folder, config.split)
    _write_settings(folder, plain, data)
    pictures = draw_pictures(tables, predict, data, config.split, folder)
    tags = sorted({data.name, type(network).__name__, predict.start.name, *(["phantom-data"] if data.embedded else [])})
    run_id = f"{folder.name}-{secrets.token_hex(3)}"
    values = plain | {"run_folder": str(folder)}
    for logger in build_loggers(config, folder=folder, run_id=run_id, config=values, tags=tags, job_type="evaluate"):
        logger.log_results({config.split: tables}, pictures)
        logger.finish(0)
    show_results(tables, folder, data, config.split)


def _write_settings(folder: Path, plain: Mapping[str, Any], data: "ClipData") -> None:
    """Write what a report reads: the settings of the training, if they lie beside the checkpoint, and of these data."""
    trained = Path(plain["checkpoint"]).parent / "resolved.yaml"
    settings = OmegaConf.to_container(OmegaConf.load(trained)) if trained.is_file() else {}
    assert isinstance(settings, dict)
    settings |= {key: plain[key] for key in ("data", "start", "direction", "checkpoint")}
    with replacing(folder / "resolved.yaml") as temporary:
        temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(settings)))
    facts = {"name": data.name, "fingerprint": data.fingerprint(), "fold": data.fold, "embedded": data.embedded}
    Status(folder).update(state="done", run=folder.name, data=facts, commit=commit())


def _without_paths(node: Any) -> Any:
    """Drop the paths of checkpoints from a node: their digests count instead."""
    if not isinstance(node, dict):
        return node
    return {key: _without_paths(value) for key, value in node.items() if key != "path"}


if __name__ == "__main__":
    main()
