"""`lexy-train`: train a network on clips, then evaluate its best checkpoint."""

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge
from omegaconf import DictConfig

from lexy.cli.hydra_app import run_command
from lexy.config.check import located, resolved
from lexy.errors import UserError
from lexy.sweeps.jobs import SweepConfig
from lexy.sweeps.plan import Combinations


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
    resume: Literal["never", "auto"] | None
    frame_network: str | None
    pretrained: str | None
    allow: list[str]
    label: str
    tags: list[str]
    sweep: SweepConfig
    threads: Annotated[int, Ge(1)] | None = None
    checkpoint_minutes: Annotated[float, Ge(0)] | None = None


def main() -> None:
    """Entry point of the command."""
    run_command("train", train, TrainConfig, Combinations(why_not, unused, last_attempt))


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
    from lexy.config.build import build
    from lexy.files import held
    from lexy.networks.propagation import needs_mask
    from lexy.report.console import show_finished
    from lexy.runs.evaluation import check_not_trained_on, checkpoint_files, load_frame_network
    from lexy.runs.identity import identity
    from lexy.runs.pretrained import record, start_from
    from lexy.runs.reproduce import same_data
    from lexy.runs.tracking import is_leader
    from lexy.threads import use_threads

    plain = resolved(config)
    use_threads(config.get("threads"))
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
    again = [] if _in_sweep() else same_data(config, data.name)

    folder, done = _folder(config, identity(config, data.fingerprint()))
    if done:
        show_finished(folder, data)
        return float(done["best_val_dice"])
    with held(folder) if is_leader() else nullcontext():
        if moved is not None and is_leader() and not (folder / "last.ckpt").exists():  # which replaces all weights
            record(moved, config.pretrained, folder)
        return _run(config, plain, folder, data, task, again)


def why_not(config: Mapping[str, Any]) -> str | None:
    """Why a combination of a sweep does not exist, as far as its groups tell; None if it does."""
    return _unfit(*(located(config[group]["_target_"], group) for group in ("model", "data", "training", "start")))


def unused(config: Mapping[str, Any]) -> dict[str, str]:
    """Groups that change nothing here, with the reason."""
    from lexy.networks.propagation import needs_mask

    network = located(config["model"]["_target_"], "model")
    return {} if needs_mask(network) else {"start": f"{network.__name__} carries no mask, so it has no start"}


def last_attempt(config: DictConfig) -> dict[str, Any]:
    """Status of the last run with the identity of a sweep's job; empty if there is none, or it is not to be used."""
    from lexy.config.build import build
    from lexy.runs.identity import attempts, identity, last_status

    if config.resume == "never":
        return {}
    data = build(config.data, "data")
    folders = attempts(Path(config.paths.outputs) / config.name, identity(config, data.fingerprint()))
    return last_status(folders[-1]) if folders else {}


def _resume(config: DictConfig) -> str:
    """A sweep that is launched again goes on, a single run starts again, unless the user says otherwise."""
    return str(config.resume or ("auto" if _in_sweep() else "never"))


def _in_sweep() -> bool:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def _check_fits(task: Any, data: Any) -> None:
    """Refuse, before a folder is made, stills for what needs clips of several frames."""
    from lexy.networks.propagation import needs_mask

    if needs_mask(task.network) and not hasattr(task.network, "with_mask"):
        raise UserError(
            f"model: {type(task.network).__name__} needs a mask but has no method with_mask(state, mask), by which it "
            "is given another one. See lexy/networks/tracknet.py."
        )
    reason = _unfit(*map(type, (task.network, data, task.way, task.start)))
    if reason is not None:
        raise UserError(reason)


def _unfit(network: Any, data: Any, way: Any, start: Any) -> str | None:
    """Why these classes do not work together; None if they do."""
    from lexy.networks.propagation import needs_mask
    from lexy.tasks.starts import TrueMask
    from lexy.tasks.training import Unrolled

    if getattr(data, "sequences", True):
        return None
    if way is Unrolled:
        return (
            f"training=unrolled needs clips of several frames, data={data.name} has stills. Give data=synthetic, or "
            "training=stills or self_feeding."
        )
    if start is TrueMask and needs_mask(network):
        return (
            f"start=truth gives away the mask of the first frame, and data={data.name} has no other. Give "
            "start=perturbed or start=unet."
        )
    return None


def _try_out(config: DictConfig, network: Any) -> None:
    """Build once, without a folder, what would be built too late to refuse its values before one is made."""
    from lexy.config.build import build

    optimizer = build(config.optimizer, "optimizer", params=list(network.parameters()))
    build(config.scheduler, "scheduler", optimizer=optimizer, total_steps=100)
    build(config.trainer, "trainer", logger=False, enable_checkpointing=False, enable_progress_bar=False)


def _folder(config: DictConfig, digits: str) -> tuple[Path, dict[str, Any] | None]:
    """The run's folder, and its status if the run is done already and only to be shown."""
    from lexy.runs.identity import attempts, last_status, new_folder
    from lexy.runs.tracking import folder_of_leader, is_leader

    parent = Path(config.paths.outputs) / config.name
    if not is_leader():
        return folder_of_leader(parent, digits), None
    folders = attempts(parent, digits) if _resume(config) == "auto" else []
    if folders:
        status = last_status(folders[-1])
        if status["state"] not in ("failed", "pruned"):  # those get a folder of their own
            return folders[-1], status if status["state"] == "done" else None
    return new_folder(parent, config.label, digits), None


def _run(config: DictConfig, plain: dict[str, Any], folder: Path, data: Any, task: Any, again: list[str]) -> float:
    """Train in `folder`, from its last checkpoint if it has one, and evaluate."""
    from lexy.config.build import build
    from lexy.runs.evaluation import evaluate_run
    from lexy.runs.tracking import recorded
    from lexy.tasks.callbacks import EpochLog, LastCheckpoint, WholeCheckpointIO
    from lexy.tasks.trainer import computes_with

    last, best = folder / "last.ckpt", folder / "best.ckpt"
    with recorded(config, plain, folder, data, task) as (loggers, status):
        callbacks: list[Any] = [EpochLog(folder / "metrics.csv")]
        for name, node in config.callbacks.items():
            if node is not None:  # callbacks.NAME=null switches one off
                given = {"dirpath": str(folder)} if "ModelCheckpoint" in node["_target_"] else {}
                callbacks.append(build(node, f"callbacks.{name}", **given))
        callbacks.append(LastCheckpoint(last, config.get("checkpoint_minutes")))
        trainer = build(
            config.trainer,
            "trainer",
            default_root_dir=str(folder),
            logger=loggers or False,
            callbacks=callbacks,
            plugins=[WholeCheckpointIO()],
        )
        if trainer.is_global_zero:
            status.update(**computes_with(trainer))
        trainer.fit(task, datamodule=data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
        if not best.exists():  # fast_dev_run saves nothing
            trainer.save_checkpoint(best)
        if trainer.is_global_zero:
            value = evaluate_run(
                folder, data, task, trainer, loggers, config.seed, (config.frame_network, config.allow), again
            )
            status.update(state="done", best_val_dice=value, epochs=trainer.current_epoch)
            return value
    return float("nan")


def quieten_lightning() -> None:
    """Lightning's hints about workers, loggers and hardware do not apply here or repeat what the config says."""
    import warnings

    import lexy._torchvision  # noqa: F401

    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    messages = ["does not have many workers", "could not find the monitored key", "exists and is not empty"]
    messages += ["command is available on your system but is not used"]  # of Slurm
    messages += ["your dataloader is not resumable"]  # LastCheckpoint tells it where to begin
    for message in (*(f".*{text}.*" for text in messages), ".*LeafSpec.*is deprecated.*"):
        warnings.filterwarnings("ignore", message)


if __name__ == "__main__":
    main()
