"""Searches: most with a launcher that only pretends, one with real processes."""

import os
import signal
import subprocess
import time
from functools import partial
from types import SimpleNamespace

import optuna
import pandas as pd
import pytest
from cli_runs import TINY, command, environment, run
from omegaconf import OmegaConf

from lexy.cli import train
from lexy.errors import UserError
from lexy.files import held
from lexy.optuna_storage import cut_torn_line
from lexy.runs.compatibility import why_not
from lexy.sweeps.command import Command
from lexy.sweeps.job_process import Outcome
from lexy.sweeps.jobs import LauncherError
from lexy.sweeps.search import Search, SearchSettings, batches, check_search
from lexy.sweeps.search_space import search_space

SPACE = {"lr": "tag(log,interval(1e-4,1e-2))", "loss": "choice(dice,bce)"}


class Pretended:
    """A launcher whose jobs are calls of a function of their overrides."""

    def __init__(self, figure):
        self.figure = figure
        self.launched = []

    def launch(self, jobs, first):
        outcomes = []
        for number, job in enumerate(jobs, first):
            overrides = [item for item in job if not item.startswith("hydra.")]
            self.launched.append((number, overrides))
            try:
                figure = self.figure(number, dict(item.split("=", 1) for item in overrides))
                outcomes.append(Outcome("done", value=figure))
            except Exception as error:
                outcomes.append(Outcome("failed", f"{type(error).__name__}: {error}"))
        return outcomes


def good(number, values):
    return 1 - abs(float(values["lr"]) - 3e-3) * (1 if values["loss"] == "dice" else 2)


def searched(folder, figure=good, arguments=("epochs=3",), task=None, launcher=None, **changes):
    """The search after it was run, and the jobs that were launched."""
    settings = {
        "study_name": "tried",
        "storage": str(folder / "search" / "study.log"),
        "direction": "maximize",
        "n_trials": 6,
        "n_jobs": 2,
        "seed": 0,
        "sampler": partial(optuna.samplers.TPESampler, n_startup_trials=3),
        "pruner": None,
        "space": SPACE,
    }
    launcher = launcher or Pretended(figure)
    space = search_space(SPACE, arguments)
    search = Search(SearchSettings(**settings | changes), space, OmegaConf.create(task or {}), launcher.launch)
    search.run()
    return search, launcher.launched


def table(folder):
    return pd.read_csv(folder / "search" / "trials.csv").set_index("trial")


def test_trials_lie_in_the_space_and_are_numbered(tmp_path, capsys):
    search, launched = searched(tmp_path)
    assert not search.failures
    assert [number for number, _ in launched] == [0, 1, 2, 3, 4, 5]
    for _, overrides in launched:
        values = dict(item.split("=") for item in overrides)
        assert values.keys() == {"epochs", "lr", "loss"}
        assert 1e-4 <= float(values["lr"]) <= 1e-2
        assert values["loss"] in ("dice", "bce")
    trials = table(tmp_path)
    best = trials["value"].idxmax()
    shown = capsys.readouterr().out
    assert f"best: trial {best}, {trials['value'].max():.4f}" in shown
    assert f"lexy-train {' '.join(launched[best][1])}\n" in shown
    assert (tmp_path / "search" / "importance.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_again_has_nothing_to_do_and_more_trials_go_on(tmp_path):
    searched(tmp_path)
    assert searched(tmp_path)[1] == []
    assert [number for number, _ in searched(tmp_path, n_trials=8)[1]] == [6, 7]


def test_a_search_that_was_stopped_proposes_what_an_undisturbed_one_does(tmp_path):
    _, undisturbed = searched(tmp_path / "undisturbed")

    class Stopped(BaseException):
        pass

    def stopped(number, values):
        if number == 3:
            raise Stopped
        return good(number, values)

    with pytest.raises(Stopped):
        searched(tmp_path / "stopped", stopped)
    _, rest = searched(tmp_path / "stopped")
    assert rest == undisturbed[2:]  # the batch of 2 and 3 runs again, under its numbers
    assert set(table(tmp_path / "stopped")["state"]) == {"complete"}


def test_failures_stop_nothing_and_are_made_up_for_by_the_next_launch(tmp_path):
    def sometimes(number, values):
        if number == 1:
            raise ValueError("no memory")
        return {2: None, 3: float("nan")}.get(number, good(number, values))

    search, launched = searched(tmp_path, sometimes)
    assert len(launched) == 6
    assert search.failures == {
        1: "ValueError: no memory",
        2: "its figure is None",
        3: "its figure is nan",
    }
    assert table(tmp_path)["reason"][1] == "ValueError: no memory"
    search, launched = searched(tmp_path)
    assert [number for number, _ in launched] == [6, 7, 8]
    assert not search.failures


def test_a_launcher_that_breaks_off_leaves_trials_to_go_on_with(tmp_path):
    class Broken(Pretended):
        def launch(self, jobs, first):
            raise LauncherError("OSError: no queue")

    with pytest.raises(UserError, match="no queue"):
        searched(tmp_path, launcher=Broken(None), n_trials=2)
    assert [number for number, _ in searched(tmp_path, n_trials=2)[1]] == [0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"arguments": ["epochs=3", "loss=dice"]},
            r"another space: loss: CategoricalDistribution\(choices=\('dice', 'bce'\)\); now loss: not searched\.",
        ),
        ({"arguments": ["epochs=4"], "task": {"epochs": 4}}, r"another setting: \['epochs=3'\]; now \['epochs=4'\]"),
        ({"direction": "minimize"}, "another direction"),
    ],
)
def test_trials_that_cannot_be_compared_are_refused(changes, message, tmp_path):
    searched(tmp_path, task={"epochs": 3})
    launcher = Pretended(good)
    with pytest.raises(UserError, match=message):
        searched(tmp_path, launcher=launcher, **changes)
    assert launcher.launched == []


def test_two_searches_at_once_are_refused(tmp_path):
    (tmp_path / "search").mkdir()
    launcher = Pretended(good)
    with held(tmp_path / "search"), pytest.raises(UserError, match="in use by another process"):
        searched(tmp_path, launcher=launcher)
    assert launcher.launched == []


def test_importances_that_there_are_none_of_are_said_to_be_missing(tmp_path, capsys):
    searched(tmp_path, n_trials=1)
    assert "1 completed trial; at least two are needed" in capsys.readouterr().out
    searched(tmp_path / "same", lambda *_: 0.5, n_trials=3)
    assert "all completed trials have the same value, 0.5000" in capsys.readouterr().out
    assert not list(tmp_path.rglob("importance.png"))


def test_trials_launched_together_follow_each_other_and_differ():
    def trial(number, loss):
        made = optuna.trial.create_trial(
            params={"loss": loss},
            distributions={"loss": optuna.distributions.CategoricalDistribution(["dice", "bce"])},
            value=0.0,
        )
        made.number = number
        return made

    trials = [trial(0, "dice"), trial(1, "bce"), trial(2, "bce"), trial(4, "dice")]
    assert [[item.number for item in batch] for batch in batches(trials)] == [[0, 1], [2], [4]]


def test_a_line_that_a_full_disk_cut_off_is_taken_out(tmp_path):
    searched(tmp_path, n_trials=2)
    journal = tmp_path / "search" / "study.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":5,"tri')
    cut_torn_line(journal)
    assert journal.read_bytes() == whole
    journal.write_bytes(whole + b'{"op_code":5,"tri')
    assert [number for number, _ in searched(tmp_path, n_trials=3)[1]] == [2]


def wait_until(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.slow
def test_a_search_is_killed_goes_on_and_prunes(tmp_path):
    fixed = [f"augmentation.{key}=0.1" for key in ("rotation", "gain", "noise")]
    line = ["-m", "search=learning", *TINY, "optimizer.lr=tag(log,interval(1e-3,1e-2))", *fixed]
    line += ["trainer.max_epochs=20", "hydra.sweeper.n_trials=2"]
    process = subprocess.Popen(
        command("train", *line),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    outputs = tmp_path / "outputs" / "search_learning"

    def second_has_an_epoch_to_go_on_from():
        logs = [path.read_text().splitlines() for path in outputs.glob("*/metrics.csv")]
        return len(logs) == 2 and all(len(lines) > 2 for lines in logs)  # the checkpoint follows the line

    wait_until(second_has_an_epoch_to_go_on_from, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    always = ["hydra.sweeper.pruner._target_=optuna.pruners.ThresholdPruner", "+hydra.sweeper.pruner.lower=2"]
    always += ["~hydra.sweeper.pruner.n_startup_trials", "hydra.sweeper.pruner.n_warmup_steps=0"]
    done = run(tmp_path, "train", *line, *always)
    assert done.returncode == 0, done.stdout + done.stderr
    found = table(outputs)
    assert list(found["state"]) == ["complete", "pruned"]
    assert found["last_epoch"][0] == 19
    assert 1 <= found["last_epoch"][1] < 19  # the killed run went on for one epoch, in its folder
    assert {path.parent.name for path in outputs.glob("*/status.json")} == set(found["run"])
    log = pd.read_csv(outputs / found["run"][1] / "metrics.csv")
    assert log["epoch"].iloc[-1] == found["last_epoch"][1]
    assert log["val/dice"].iloc[-1] == pytest.approx(found["value"][1])
    assert "best: trial 0" in done.stdout
    assert "train it again:\n  lexy-train " in done.stdout


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["loss=dice,nonesuch"], "nonesuch"),
        (["data.batch_size=choice(8,0)"], r"data\.batch_size=0.*\nin a trial of the search: .*data.batch_size=0"),
        (["hydra.sweeper.n_trials=0"], r"hydra\.sweeper\.n_trials=0"),
        (["training=unrolled,stills"], "needs clips of several frames"),
    ],
)
def test_a_mistake_in_any_trial_is_found_before_the_first(typed, message):
    arguments = SimpleNamespace(overrides=["search=learning", *typed], config_dir=None, config_name=None)
    with pytest.raises(UserError, match=message):
        check_search(Command("train", "lexy.cli.train.train", train.TrainConfig, why_not=why_not), arguments)
