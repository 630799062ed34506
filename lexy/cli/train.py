"""`lexy-train`: train a network on clips, then evaluate its best checkpoint."""

import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge
from omegaconf import DictConfig

from lexy.cli.app import run_command
from lexy.cli.check import resolved
from lexy.errors import UserError

if TYPE_CHECKING:
    from lexy.cli.identity import Status

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
    training: Any
    start: Any
    trainer: Any
    callbacks: Any
    logger: Any
    paths: Any
    task: Any
    name: str
    seed: Annotated[int, Ge(0)]
    resume: Literal["never", "auto"]
    frame_network: str | None
    pretrained: str | None
    allow: list[str]
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
    from lexy.checkpoint import packed, trained_on
    from lexy.cli.again import same_data
    from lexy.cli.build import build
    from lexy.cli.identity import held, identity
    from lexy.cli.pretrained import record, start_from
    from lexy.cli.results import check_not_trained_on, checkpoint_files, load_frame_network
    from lexy.networks.propagation import needs_mask
    from lexy.report.console import show_finished

    plain = resolved(config)
    quieten_lightning()
    import pytorch_lightning as pl

    pl.seed_everything(config.seed, verbose=False)
    data = build(config.data, "data")
    network = build(config.model, "model")
    _try_out(config, network)
    starter = None
    if config.frame_network is not None:
        load_frame_network(config.frame_network, config.allow)
        starter = packed(config.frame_network) if needs_mask(network) else None
    moved = None if config.pretrained is None else start_from(network, config.pretrained)
    came_from = [config.pretrained] if moved is not None else []
    came_from += [config.frame_network] if starter is not None else []
    facts = data.describe() | {"before": [seen for path in came_from for seen in trained_on(path)]}
    task = build(config.task, "task")(network=network, spec=plain["model"], data=facts, frame_network=starter)
    data.rows("test")
    _check_fits(task, data)
    check_not_trained_on(checkpoint_files(plain), data)
    again = same_data(config, data.name)

    folder, done = _folder(config, identity(config, data.fingerprint()))
    if done:
        show_finished(folder, data)
        return float(done["best_val_dice"])
    with held(folder) if _is_leader() else nullcontext():
        if moved is not None and _is_leader() and not (folder / "last.ckpt").exists():  # which replaces all weights
            record(moved, config.pretrained, folder)
        return _run(config, plain, folder, data, task, again)


def _check_fits(task: Any, data: Any) -> None:
    """Refuse, before a folder is made, stills for what needs clips of several frames."""
    from lexy.networks.propagation import needs_mask
    from lexy.tasks.starts import TrueMask
    from lexy.tasks.training import Unrolled

    if needs_mask(task.network) and not hasattr(task.network, "with_mask"):
        raise UserError(
            f"model: {type(task.network).__name__} needs a mask but has no method with_mask(state, mask), by which it "
            "is given another one. See lexy/networks/tracknet.py."
        )
    if data.sequences:
        return
    if isinstance(task.way, Unrolled):
        raise UserError(
            f"training=unrolled needs clips of several frames, data={data.name} has stills. Give data=synthetic, or "
            "training=stills or self_feeding."
        )
    if isinstance(task.start, TrueMask) and needs_mask(task.network):
        raise UserError(
            f"start=truth gives away the mask of the first frame, and data={data.name} has no other. Give "
            "start=perturbed or start=unet."
        )


def _is_leader() -> bool:
    """Whether this is not a process that Lightning started for distributed training."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _try_out(config: DictConfig, network: Any) -> None:
    """Build once, without a folder, what would be built too late to refuse its values before one is made."""
    from lexy.cli.build import build

    optimizer = build(config.optimizer, "optimizer", params=list(network.parameters()))
    build(config.scheduler, "scheduler", optimizer=optimizer, total_steps=100)
    build(config.trainer, "trainer", logger=False, enable_checkpointing=False, enable_progress_bar=False)


def _folder(config: DictConfig, digits: str) -> tuple[Path, dict[str, Any] | None]:
    """The run's folder, and its status if the run is done already and only to be shown."""
    from lexy.cli.identity import Status, attempts, new_folder

    if not _is_leader():
        return Path(os.environ[FOLDER_OF_RANK_0]), None
    parent = Path(config.paths.outputs) / config.name
    if config.resume == "auto":
        for folder in reversed(attempts(parent, digits)):
            status = Status(folder).read()
            return folder, status if status.get("state") == "done" else None
    return new_folder(parent, config.label, digits), None


def _run(config: DictConfig, plain: dict[str, Any], folder: Path, data: Any, task: Any, again: list[str]) -> float:
    """Train in `folder`, from its last checkpoint if it has one, and evaluate."""
    from lexy.cli.build import build
    from lexy.cli.results import evaluate_run
    from lexy.tasks.callbacks import EpochLog, FirstCheckpoint, WholeCheckpointIO

    last, best = folder / "last.ckpt", folder / "best.ckpt"
    with _recorded(config, plain, folder, data, task) as (loggers, status):
        callbacks = [EpochLog(folder / "metrics.csv"), FirstCheckpoint(last)]
        for name, node in config.callbacks.items():
            if node is not None:  # callbacks.NAME=null switches one off
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
        trainer.fit(task, datamodule=data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
        if not best.exists():  # fast_dev_run saves nothing
            trainer.save_checkpoint(best)
        if trainer.is_global_zero:
            value = evaluate_run(
                folder, data, task, trainer, loggers, config.seed, (config.frame_network, config.allow), again
            )
            status.update(state="done", best_val_dice=value)
            return value
    return float("nan")


@contextmanager
def _recorded(
    config: DictConfig, plain: dict[str, Any], folder: Path, data: Any, task: Any
) -> Iterator[tuple[list[Any], "Status"]]:
    """Write down what runs and open its loggers; however it ends, say so in its status and close them."""
    from hydra.core.hydra_config import HydraConfig

    from lexy.cli.build import build
    from lexy.cli.identity import Status
    from lexy.cli.results import write_config
    from lexy.networks.propagation import needs_mask

    status = Status(folder)
    if not _is_leader():  # rank 0 keeps the records
        yield [], status
        return
    write_config(folder, config, plain)
    run_id = status.read().get("run_id", f"{folder.name}-{secrets.token_hex(3)}")
    facts = {"name": data.name, "fingerprint": data.fingerprint(), "fold": data.fold, "embedded": data.embedded}
    status.update(state="running", run=folder.name, run_id=run_id, data=facts)
    choices = HydraConfig.get().runtime.choices
    tags = {*plain["tags"], *plain["label"].split("-"), str(choices.get("training", "written-config"))}
    tags |= {"phantom-data"} if data.embedded else set()
    tags |= {"one-step"} if needs_mask(task.network) and not data.sequences else set()
    given = {"folder": folder, "run_id": run_id, "config": plain | {"run_folder": str(folder)}, "tags": sorted(tags)}
    nodes = {name: node for name, node in (config.logger or {}).items() if node is not None}
    loggers = [build(node, f"logger.{name}", **given) for name, node in nodes.items()]
    handler = logging.FileHandler(folder / "run.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    os.environ[FOLDER_OF_RANK_0] = str(folder)
    exit_code = 1
    try:
        with _sigterm_as_exit():
            yield loggers, status
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
        del os.environ[FOLDER_OF_RANK_0]
        for logger in loggers:
            logger.finish(exit_code)
        logging.getLogger().removeHandler(handler)
        handler.close()


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Lightning handles SIGTERM while it trains; this is for the evaluation after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def quieten_lightning() -> None:
    """Lightning's hints about workers, loggers and hardware do not apply here or repeat what the config says."""
    import warnings

    import lexy._torchvision  # noqa: F401

    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    messages = ("does not have many workers", "could not find the monitored key", "exists and is not empty")
    for message in (*(f".*{text}.*" for text in messages), ".*LeafSpec.*is deprecated.*"):
        warnings.filterwarnings("ignore", message)


if __name__ == "__main__":
    main()
