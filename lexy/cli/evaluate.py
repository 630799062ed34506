"""`lexy-evaluate`: metrics of a checkpoint on a split of any data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig

from lexy.cli.app import run_command


@dataclass
class EvaluateConfig:
    """Keys of the config's top level."""

    data: Any
    paths: Any
    checkpoint: str
    split: Literal["train", "val", "test"]
    allow: list[str]
    device: str


def main() -> None:
    """Entry point of the command."""
    run_command("evaluate", evaluate, EvaluateConfig)


def evaluate(config: DictConfig) -> None:
    """Evaluate one checkpoint, write its tables and show their summary.

    The folder's name holds the start of the SHA-256 of checkpoint and data: the same evaluation has the same folder.
    """
    from lexy import checkpoint as checkpoints
    from lexy.cli.build import build
    from lexy.cli.results import check_not_trained_on, evaluate_split, predictor
    from lexy.files import sha256
    from lexy.report.console import show_results

    path = Path(config.checkpoint)
    data = build(config.data, "data")
    facts = checkpoints.read(path)[checkpoints.KEY]
    if config.split == "test":
        check_not_trained_on(facts, data)
    predict = predictor(checkpoints.load(path, allow=list(config.allow)), config.device)
    digest = sha256(path)
    tables = evaluate_split(predict, data, config.split, {"run": path.resolve().parent.name, "checkpoint": digest[:16]})
    fold = "" if data.fold is None else f"-fold{data.fold}"
    name = f"{path.stem}-{digest[:8]}-{data.name}{fold}-{data.fingerprint()[:8]}"
    folder = Path(config.paths.outputs) / "evaluations" / name
    tables.write(folder, config.split)
    show_results(tables, folder, data, config.split)


if __name__ == "__main__":
    main()
