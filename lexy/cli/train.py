"""`lexy-train`: train a network on clips, then evaluate its best checkpoint."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge
from omegaconf import DictConfig

from lexy.cli.hydra_app import run_command
from lexy.config.check import resolved
from lexy.runs.compatibility import check_compatible, network_class, unused_groups, why_not
from lexy.runs.folder import in_sweep, is_leader, last_status, open_folder
from lexy.sweeps.command import Command
from lexy.sweeps.jobs import SweepConfig

if TYPE_CHECKING:
    from lexy.data.base import ClipData


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
    run_command(
        Command(
            "train",
            "lexy.cli.train.train",
            TrainConfig,
            preload=("lexy.runs.evaluation",),
            why_not=why_not,
            unused_groups=unused_groups,
            last_status=last_status,
        )
    )


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
    from lexy.data.base import checked
    from lexy.files import held
    from lexy.report.console import show_finished
    from lexy.runs.evaluation import check_not_trained_on, checkpoint_files, load_frame_network
    from lexy.runs.pretrained import load_pretrained, record_transfer
    from lexy.runs.reproduce import evaluation_overrides
    from lexy.runs.tracking import quieten_lightning
    from lexy.threads import use_threads

    plain = resolved(config)
    use_threads(config.get("threads"))
    quieten_lightning()
    import pytorch_lightning as pl

    pl.seed_everything(config.seed, verbose=False)
    data = checked(build(config.data, "data"))
    network_class(plain)
    network = build(config.model, "model")
    _try_out(config, network)
    starter = None
    if config.frame_network is not None:
        load_frame_network(config.frame_network, config.allow)
        starter = packed(config.frame_network) if network.needs_mask else None
    transferred = None if config.pretrained is None else load_pretrained(network, config.pretrained)
    came_from = [config.pretrained] if transferred is not None else []
    came_from += [config.frame_network] if starter is not None else []
    facts = data.describe() | {"before": [seen for path in came_from for seen in trained_on(path)]}
    task = build(config.task, "task")(network=network, spec=plain["model"], data=facts, frame_network=starter)
    data.rows("test")
    check_compatible(task, data)
    check_not_trained_on(checkpoint_files(plain), data)
    overrides = [] if in_sweep() else evaluation_overrides(config, data.name)

    folder, done = open_folder(config, data)
    if done:
        show_finished(folder, data)
        return float(done["best_val_dice"])
    with held(folder) if is_leader() else nullcontext():
        # A checkpoint to go on from replaces all weights.
        if transferred is not None and is_leader() and not (folder / "last.ckpt").exists():
            record_transfer(transferred, config.pretrained, folder)
        return _run(config, plain, folder, data, task, overrides)


def _try_out(config: DictConfig, network: Any) -> None:
    """Build once, without a folder, what would be built too late to refuse its values before one is made."""
    from lexy.config.build import build

    optimizer = build(config.optimizer, "optimizer", params=list(network.parameters()))
    build(config.scheduler, "scheduler", optimizer=optimizer, total_steps=100)
    build(config.trainer, "trainer", logger=False, enable_checkpointing=False, enable_progress_bar=False)


def _run(
    config: DictConfig, plain: dict[str, Any], folder: Path, data: "ClipData", task: Any, overrides: list[str]
) -> float:
    """Train in `folder`, from its last checkpoint if it has one, and evaluate."""
    from lexy.config.build import build
    from lexy.runs.evaluation import evaluate_run
    from lexy.runs.tracking import tracked_run
    from lexy.tasks.callbacks import EpochLog, LastCheckpoint, WholeCheckpointIO
    from lexy.tasks.trainer import computes_with

    last, best = folder / "last.ckpt", folder / "best.ckpt"
    with tracked_run(config, plain, folder, data, task) as (loggers, status):
        callbacks: list[Any] = [EpochLog(folder / "metrics.csv")]
        for name, node in config.callbacks.items():
            if node is not None:  # callbacks.NAME=null switches one off
                # Configs of earlier versions say save_last, which LastCheckpoint does better.
                given = {"dirpath": str(folder), "save_last": False} if "ModelCheckpoint" in node["_target_"] else {}
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
                folder, data, task, trainer, loggers, config.seed, (config.frame_network, config.allow), overrides
            )
            status.update(state="done", best_val_dice=value, epochs=trainer.current_epoch)
            return value
    return float("nan")


if __name__ == "__main__":
    main()
