import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader

from lexy.errors import UserError
from lexy.tasks.callbacks import LastCheckpoint, WholeCheckpointIO


class Plateau(pl.LightningModule):
    """Learns, but its `val/dice` is the same for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch).square().mean()

    def validation_step(self, batch, batch_idx) -> None:
        self.log("val/dice", 0.5)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder, *callbacks, resume=False, minutes=None, **settings):
    """A training whose checkpoints lie in a folder; the epochs that it began, and its trainer."""
    begun = []
    clock = pl.callbacks.LambdaCallback(on_train_epoch_start=lambda trainer, _: begun.append(trainer.current_epoch))
    best = ModelCheckpoint(folder, "best", monitor="val/dice", mode="max", save_on_train_epoch_end=True)
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock, best, *callbacks, LastCheckpoint(folder / "last.ckpt", minutes)],
        plugins=[WholeCheckpointIO()],
        **settings,
    )
    loader = DataLoader(torch.ones(4, 1), batch_size=2)
    trainer.fit(Plateau(), loader, loader, ckpt_path=folder / "last.ckpt" if resume else None, weights_only=True)
    return begun, trainer


def test_an_epoch_whose_batches_cannot_begin_in_its_middle_is_not_saved_there(tmp_path):
    with pytest.raises(UserError, match="checkpoint_minutes"):
        fit(tmp_path, minutes=0, max_epochs=1)
    assert not list(tmp_path.iterdir())


def last(folder):
    return torch.load(folder / "last.ckpt", weights_only=True)


def test_last_checkpoint_is_of_the_last_epoch_though_none_was_better_than_the_first(tmp_path):
    _, trainer = fit(tmp_path, max_epochs=4)
    assert last(tmp_path)["global_step"] == trainer.global_step == 8
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["global_step"] == 2
    torch.testing.assert_close(last(tmp_path)["state_dict"], dict(trainer.lightning_module.state_dict()))


def test_last_checkpoint_knows_the_best_score_and_how_long_early_stopping_waits(tmp_path):
    fit(tmp_path, EarlyStopping("val/dice", patience=9, mode="max"), max_epochs=3)
    states = last(tmp_path)["callbacks"]
    (best,) = (state for name, state in states.items() if name.startswith("ModelCheckpoint"))
    (stopping,) = (state for name, state in states.items() if name.startswith("EarlyStopping"))
    assert best["best_model_score"] == 0.5
    assert stopping["wait_count"] == 2


def test_training_goes_on_with_the_epoch_after_the_last(tmp_path):
    assert fit(tmp_path, max_epochs=3)[0] == [0, 1, 2]
    assert fit(tmp_path, resume=True, max_epochs=5)[0] == [3, 4]


def test_a_training_that_was_ended_early_is_not_resumed_past_its_end(tmp_path):
    def stopping():
        return EarlyStopping("val/dice", patience=2, mode="max")

    begun, trainer = fit(tmp_path, stopping(), max_epochs=9)
    assert begun == [0, 1, 2]
    begun, again = fit(tmp_path, stopping(), resume=True, max_epochs=9)
    assert begun == []
    assert again.current_epoch == trainer.current_epoch == 3


def test_there_is_a_checkpoint_before_the_first_step_but_none_of_a_dry_run(tmp_path):
    class Died(Exception):
        pass

    class Dies(pl.Callback):
        def on_train_batch_start(self, *_):
            raise Died

    fit(tmp_path, fast_dev_run=True)
    assert not list(tmp_path.iterdir())
    with pytest.raises(Died):
        fit(tmp_path, Dies(), max_epochs=2)
    assert last(tmp_path)["global_step"] == 0
