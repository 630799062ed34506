from types import SimpleNamespace

import optuna
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf
from optuna.trial import TrialState

from lexy.errors import Pruned, UserError
from lexy.optuna_storage import storage_at
from lexy.tasks.pruning import Pruning

ALWAYS = {"_target_": "optuna.pruners.ThresholdPruner", "lower": 2.0}


@pytest.fixture
def study(tmp_path):
    """A study whose trials 0 and 1 were proposed."""
    study = optuna.create_study(storage=storage_at(tmp_path / "study.log"), study_name="tried", direction="maximize")
    study.ask()
    study.ask()
    return study


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A function that makes this process one that runs trial 1."""

    def given(pruner, mode=RunMode.MULTIRUN):
        sweeper = {"storage": str(tmp_path / "study.log"), "study_name": "tried", "pruner": pruner}
        config = OmegaConf.create({"hydra": {"mode": mode, "sweeper": sweeper, "job": {"num": 1}}})
        monkeypatch.setattr(HydraConfig.instance(), "cfg", config)

    return given


def epoch(callback, number, dice, *, validates=True, key="val/dice"):
    trainer = SimpleNamespace(
        is_global_zero=True,
        sanity_checking=False,
        current_epoch=number,
        callback_metrics={key: torch.tensor(dice)},
        strategy=SimpleNamespace(broadcast=lambda value: value),
    )
    if validates:
        callback.on_validation_epoch_start(trainer, None)
    callback.on_train_epoch_end(trainer, None)


def begun(callback):
    callback.setup(SimpleNamespace(is_global_zero=True), None, "fit")
    return callback


def test_every_validated_epoch_is_told_to_the_trial(study, job):
    job(None)
    callback = begun(Pruning())
    epoch(callback, 0, 0.25)
    epoch(callback, 1, 0.5, validates=False)
    epoch(callback, 2, 0.75)
    assert [trial.intermediate_values for trial in study.trials] == [{}, {0: 0.25, 2: 0.75}]
    assert study.trials[1].state == TrialState.RUNNING


def test_a_pruned_trial_is_written_down_as_such_with_its_last_figure(study, job):
    job(ALWAYS)
    with pytest.raises(Pruned, match=r"trial 1 ended after epoch 3 by ThresholdPruner: val/dice was 0\.2500"):
        epoch(begun(Pruning()), 3, 0.25)
    assert study.trials[1].state == TrialState.PRUNED
    assert study.trials[1].value == 0.25


def test_a_run_that_goes_on_may_repeat_an_epoch(study, job):
    job(None)
    epoch(begun(Pruning()), 0, 0.25)
    resumed = begun(Pruning())
    epoch(resumed, 0, 0.25)
    epoch(resumed, 1, 0.5)
    assert study.trials[1].intermediate_values == {0: 0.25, 1: 0.5}


def test_a_figure_that_is_not_logged_is_named(study, job):
    job(None)
    with pytest.raises(UserError, match=r"val/dice is not logged. Logged: val/loss"):
        epoch(begun(Pruning()), 0, 0.5, key="val/loss")


def test_outside_a_search_it_says_so(job):
    job(None, RunMode.RUN)
    with pytest.raises(UserError, match="outside a search"):
        begun(Pruning())
