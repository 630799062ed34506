"""Ending the trials of a search that promise nothing."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from lexy.errors import Pruned, UserError
from lexy.optuna_storage import storage_at, trial_id


class Pruning(Checkpoint):
    """Tell the search each epoch's figure, and end the training when its pruner says so.

    The trial may run in any process on any machine that sees the search's storage: which trial it is, it knows from
    Hydra's config of the running job.

    A `Checkpoint` by kind only: Lightning calls these after the module has logged what describes the epoch, in their
    order in the list, so the epoch is written down by then.

    Parameters
    ----------
    monitor : str
        What the pruner sees; logged in every epoch that validates.
    """

    def __init__(self, monitor: str = "val/dice") -> None:
        self.monitor = monitor
        self.validated = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find the trial.

        Raises
        ------
        UserError
            No search runs this training.
        """
        if stage == "fit" and trainer.is_global_zero:
            self._connect()

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember that this epoch has figures of validation."""
        self.validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report this epoch.

        Raises
        ------
        Pruned
            The pruner says so, to all processes of this training.
        UserError
            `monitor` is not logged.
        """
        validated, self.validated = self.validated, False
        if not validated:
            return
        if self.monitor not in trainer.callback_metrics:
            known = ", ".join(sorted(trainer.callback_metrics))
            raise UserError(f"callbacks.pruning.monitor={self.monitor} is not logged. Logged: {known}.")
        value = float(trainer.callback_metrics[self.monitor])
        reason = self._report(value, trainer.current_epoch) if trainer.is_global_zero else None
        reason = trainer.strategy.broadcast(reason)
        if reason is not None:
            raise Pruned(reason)

    def _connect(self) -> None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode
        from hydra.utils import instantiate

        hydra: Any = HydraConfig.get() if HydraConfig.initialized() else None
        if hydra is None or hydra.mode != RunMode.MULTIRUN or "study_name" not in hydra.sweeper:
            raise UserError(
                "callbacks=pruning outside a search: there is no pruner to ask. Leave it out, or give -m search=..."
            )
        import optuna

        self.storage = storage_at(hydra.sweeper.storage)
        pruner = instantiate(hydra.sweeper.pruner) or optuna.pruners.NopPruner()
        self.study = optuna.load_study(study_name=hydra.sweeper.study_name, storage=self.storage, pruner=pruner)
        self.number = hydra.job.num
        self.trial_id = trial_id(self.storage, hydra.sweeper.study_name, self.number)

    def _report(self, value: float, epoch: int) -> str | None:
        """Write the figure down; why the trial shall end, if it shall."""
        from optuna.trial import TrialState

        self.storage.set_trial_intermediate_value(self.trial_id, epoch, value)
        if not self.study.pruner.prune(self.study, self.storage.get_trial(self.trial_id)):
            return None
        self.study.tell(self.number, state=TrialState.PRUNED)
        pruner = type(self.study.pruner).__name__
        return f"trial {self.number} ended after epoch {epoch} by {pruner}: {self.monitor} was {value:.4f}"
