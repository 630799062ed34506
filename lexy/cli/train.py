"""`lexy-train`: train a network on clips, then evaluate its best checkpoint."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge
from omegaconf import DictConfig

from lexy.cli.app import run_command
from lexy.cli.check import resolved
from lexy.errors import UserError

FOLDER_OF_RANK_0 = "LEXY_RUN_FOLDER"


@dataclass
class TrainConfig:
    """Keys of the config's top level; the groups are checked against what they name."""

    data: Any
    model: Any
    backbone: Any
    loss: Any
    optimizer: Any
    scheduler: Any
    augmentation: Any
    trainer: Any
    callbacks: Any
    logger: Any
    paths: Any
    task: Any
    name: str
    seed: Annotated[int, Ge(0)]
    resume: Literal["never", "auto"]
    label: str
    tags: list[str]


def main() -> None:
    """Entry point of the command."""
    run_command("train", train, TrainConfig)


def train(config: DictConfig) -> float:
    """Run one job: build everything, make its folder, train, evaluate.

    Parameters
    ----------
    config : DictConfig
        As composed, with its interpolations.

    Returns
    -------
    float
        Best `val/dice`, for a sweeper.
    """
    from lexy.cli.build import build
    from lexy.cli.identity import identity
    from lexy.report.console import show_finished

    plain = resolved(config)
    quieten_lightning()
    import pytorch_lightning as pl

    pl.seed_everything(config.seed, verbose=False)
    data = build(config.data, "data")
    network = build(config.model, "model")
    task = build(config.task, "task")(network=network, spec=plain["model"], data=data.describe())
    # Once without a folder, so that a trainer that cannot be (no GPU, say) is reported before one is made.
    build(config.trainer, "trainer", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    data.rows("train"), data.rows("val"), data.rows("test")

    folder, done = _folder(config, identity(config, data.fingerprint()))
    if done:
        show_finished(folder, data)
        return float(done["best_val_dice"])
    return _run(config, plain, folder, data, task)


def _folder(config: DictConfig, digits: str) -> tuple[Path, dict[str, Any] | None]:
    """The run's folder, and its status if the run is done already and only to be shown."""
    from lexy.cli.identity import Status, attempts, new_folder

    if FOLDER_OF_RANK_0 in os.environ:  # a process that Lightning started for distributed training
        return Path(os.environ[FOLDER_OF_RANK_0]), None
    parent = Path(config.paths.outputs) / config.name
    if config.resume == "auto":
        for folder in reversed(attempts(parent, digits)):
            status = Status(folder).read()
            return folder, status if status.get("state") == "done" else None
    return new_folder(parent, config.label, digits), None


def _run(config: DictConfig, plain: dict[str, Any], folder: Path, data: Any, task: Any) -> float:
    """Train in `folder`, from its last checkpoint if it has one, and evaluate."""
    from lexy.cli.build import build
    from lexy.cli.identity import Status
    from lexy.cli.results import evaluate_run, write_config
    from lexy.tasks.callbacks import EpochLog, FirstCheckpoint, WholeCheckpointIO

    write_config(folder, config, plain)
    status = Status(folder)
    status.update(state="running", run=folder.name, data=data.describe(), embedded=data.embedded)
    tags = [*plain["tags"], *plain["label"].split("-"), *(["phantom-data"] if data.embedded else [])]
    loggers = [
        build(node, f"logger.{name}", folder=folder, config=plain | {"run_folder": str(folder)}, tags=sorted(set(tags)))
        for name, node in (config.logger or {}).items()
    ]
    last = folder / "last.ckpt"
    with _recorded(folder, status, loggers):
        callbacks = [EpochLog(folder / "metrics.csv"), FirstCheckpoint(last)]
        for name, node in config.callbacks.items():
            given = {"dirpath": str(folder)} if "ModelCheckpoint" in node["_target_"] else {}
            callbacks.append(build(node, f"callbacks.{name}", **given))
        trainer = build(
            config.trainer,
            "trainer",
            default_root_dir=str(folder),
            logger=loggers or False,
            callbacks=callbacks,
            plugins=[WholeCheckpointIO()],
        )
        os.environ[FOLDER_OF_RANK_0] = str(folder)
        trainer.fit(task, datamodule=data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
        if trainer.is_global_zero:
            best = evaluate_run(folder, data, task, trainer, loggers, plain)
            status.update(state="done", best_val_dice=best)
            return best
    return float("nan")


@contextmanager
def _recorded(folder: Path, status: Any, loggers: list[Any]) -> Iterator[None]:
    """Log into the run's folder; however the run ends, say so in its status and close its loggers."""
    handler = logging.FileHandler(folder / "run.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    exit_code = 1
    try:
        yield
        exit_code = 0
    except Exception as error:
        logging.getLogger("lexy").exception("the run failed")
        status.update(state="failed", reason=f"{type(error).__name__}: {error}")
        if type(error).__name__ == "MisconfigurationException":
            raise UserError(str(error)) from error
        raise
    except BaseException as error:  # Ctrl-C, SIGTERM
        status.update(state="interrupted", reason=type(error).__name__)
        print(f"interrupted: resume=auto goes on from {folder / 'last.ckpt'}")
        raise SystemExit(1) from error  # Lightning's own SystemExit on SIGTERM would say that all went well
    finally:
        os.environ.pop(FOLDER_OF_RANK_0, None)
        for logger in loggers:
            logger.finish(exit_code)
        logging.getLogger().removeHandler(handler)
        handler.close()


def quieten_lightning() -> None:
    """Lightning's hints about workers, loggers and hardware do not apply here or repeat what the config says."""
    import warnings

    import lexy._torchvision  # noqa: F401

    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (".*does not have many workers.*", ".*exists and is not empty.*", ".*LeafSpec.*is deprecated.*"):
        warnings.filterwarnings("ignore", message)


if __name__ == "__main__":
    main()
