"""Callbacks: the epoch log that is only ever appended to, and checkpoints that are whole or not there."""

import csv
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import Checkpoint

from lexy.data.sampling import Batches
from lexy.errors import UserError
from lexy.files import replacing


class EpochLog(Checkpoint):
    """One row for each epoch with everything that was logged, appended to a CSV file.

    Lightning's own CSVLogger deletes the file when a folder is used again. Here a resumed run goes on where its
    checkpoint stands: rows of epochs that will be repeated are taken out first.

    A `Checkpoint` by kind only: Lightning calls these after the module has logged what describes the epoch.

    Parameters
    ----------
    path : str or Path
        The CSV file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.validated = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the epochs after the checkpoint that training goes on from."""
        if trainer.is_global_zero and self.path.exists():
            self._write([row for row in self._read() if int(row["epoch"]) < trainer.current_epoch])

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember that this epoch has figures of validation."""
        self.validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Append this epoch."""
        validated, self.validated = self.validated, False
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        row: dict[str, Any] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        for name, value in sorted(trainer.callback_metrics.items()):
            if validated or not name.startswith("val/"):  # Lightning keeps the last validation's figures
                row[name] = value.item()
        rows = self._read()
        if rows and row.keys() <= rows[0].keys():
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, list(rows[0])).writerow(row)
        else:  # the first row, or the first with figures of validation
            self._write([*rows, row])

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def _write(self, rows: list[dict[str, Any]]) -> None:
        header = list(dict.fromkeys(name for row in rows for name in row))
        with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, header)
            writer.writeheader()
            writer.writerows(rows)


class LastCheckpoint(Checkpoint):
    """The checkpoint that an interrupted run goes on from, written before the first step and after every epoch.

    Lightning's `ModelCheckpoint(save_last=True)` writes only when it writes another one: an epoch that is not better
    would be lost. Of the callbacks that look at an epoch's figures, this one has to be the last, for it keeps what they
    know: the best score, how long early stopping has waited, and whether it has ended the training.

    Parameters
    ----------
    path : str or Path
        Where it lies.
    minutes : float, optional
        It is also written within an epoch, so long after the last time. Training goes on with the next batch then.
    """

    def __init__(self, path: str | Path, minutes: float | None = None) -> None:
        self.path, self.minutes = Path(path), minutes
        self.ended_early = False
        self._saved = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Return whether a callback has ended the training, which Lightning forgets."""
        return {"ended_early": self.ended_early}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.ended_early = state_dict["ended_early"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save a training that begins; let one that is resumed begin where it was, or not at all if it had ended.

        Raises
        ------
        UserError
            The batches of an epoch cannot begin in its middle.
        """
        loop = trainer.fit_loop
        if self.minutes is not None or loop.restarted_mid_epoch:
            sampler = getattr(trainer.train_dataloader, "sampler", None)
            if not isinstance(sampler, Batches):
                raise UserError(
                    "checkpoint_minutes: an epoch can be resumed in its middle only where its batches are dealt out by "
                    "lexy's Batches. Give checkpoint_minutes=null."
                )
            sampler.done = loop.epoch_loop.batch_progress.current.ready if loop.restarted_mid_epoch else 0
        if trainer.global_step == 0:
            self._save(trainer)
        if self.ended_early:
            trainer.should_stop = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save between two steps of the optimiser, if it is time."""
        if self.minutes is None or trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        if trainer.strategy.broadcast(time.monotonic() - self._saved >= 60 * self.minutes):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, whether the epoch was better or not."""
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.ended_early = trainer.should_stop
            trainer.save_checkpoint(self.path)
            self._saved = time.monotonic()


class WholeCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint to a temporary name beside its own and move it into place."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """See Lightning's `CheckpointIO`."""
        with replacing(Path(path)) as temporary:
            super().save_checkpoint(checkpoint, temporary, storage_options)
