"""Interrupted runs go on to exactly the figures of an undisturbed one."""

import json
import os
import signal
import subprocess
import time

import pandas as pd
import pytest
import torch
from cli_runs import REPOSITORY, TINY, command, environment, run, run_forked

pytestmark = pytest.mark.xdist_group("resume")  # they share the undisturbed runs

ARGUMENTS = [
    *TINY,
    "trainer.max_epochs=6",
    "optimizer=adamw",
    "scheduler=cosine",
    "callbacks=[default,ema]",
    "logger=wandb",
]


# One that gets no better, is not validated in every epoch, and is ended before its last one.
PLATEAU = [
    *TINY,
    "trainer.max_epochs=20",
    "trainer.check_val_every_n_epoch=2",
    "optimizer.lr=1e-9",
    "callbacks=[default,early_stopping]",
    "callbacks.early_stopping.patience=2",
]


def undisturbed_run(tmp_path_factory, arguments):
    work = tmp_path_factory.mktemp("undisturbed")
    done = run(work, "train", *arguments)
    assert done.returncode == 0, done.stderr
    (folder,) = (work / "outputs" / "runs").iterdir()
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return undisturbed_run(tmp_path_factory, ARGUMENTS)


@pytest.fixture(scope="module")
def plateau(tmp_path_factory):
    return undisturbed_run(tmp_path_factory, PLATEAU)


def interrupt(work, arguments, after_epochs: int, number: signal.Signals) -> int:
    """Start a run and send it a signal once its log has this many epochs (0: once its first checkpoint lies there)."""
    process = subprocess.Popen(
        command("train", *arguments),
        cwd=work,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A suite that a shell started in the background ignores Ctrl-C, and its children would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wanted = "last.ckpt" if after_epochs == 0 else "metrics.csv"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        found = list((work / "outputs").glob(f"runs/*/{wanted}"))
        if found and (after_epochs == 0 or found[0].read_text().count("\n") > after_epochs):
            break
        time.sleep(0.01)
    process.send_signal(number)
    return process.wait(timeout=60)


def epochs_to_do_again(folder) -> int:
    """Those in the log that a run which goes on from its last checkpoint has to repeat."""
    last = torch.load(folder / "last.ckpt", weights_only=True)
    log = folder / "metrics.csv"
    logged = len(pd.read_csv(log)) if log.exists() else 0
    return logged - last["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]


def assert_same_figures(undisturbed, folder) -> None:
    logs = [
        pd.read_csv(place / "metrics.csv").drop(columns=["train/clips_per_second", "train/seconds"])
        for place in (undisturbed, folder)
    ]
    assert logs[0]["epoch"].tolist() == list(range(6))  # early stopping ends the plateau there
    pd.testing.assert_frame_equal(*logs, check_exact=True)
    for name in ("val_summary.csv", "test_summary.csv"):
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()


def date_ahead(folder) -> None:
    """Make the files of a run look as they do once the clock has jumped back by a year."""
    status = folder / "status.json"
    facts = json.loads(status.read_text())
    status.write_text(json.dumps(facts | {"started": facts["started"].replace("20", "21", 1)}))
    for path in folder.rglob("*"):
        os.utime(path, (time.time() + 3e7,) * 2)


@pytest.mark.parametrize(
    ("name", "after_epochs", "number"),
    [
        pytest.param("undisturbed", 0, signal.SIGKILL, marks=pytest.mark.slow),
        ("undisturbed", 2, signal.SIGKILL),
        pytest.param("undisturbed", 1, signal.SIGINT, marks=pytest.mark.slow),
        ("undisturbed", 3, signal.SIGTERM),
        ("plateau", 5, signal.SIGKILL),
    ],
    ids=["kill-first-epoch", "kill", "ctrl-c", "sigterm", "kill-plateau"],
)
def test_resumed_run_equals_the_undisturbed_one(request, tmp_path, name, after_epochs, number):
    undisturbed = request.getfixturevalue(name)
    arguments = PLATEAU if name == "plateau" else ARGUMENTS
    assert interrupt(tmp_path, arguments, after_epochs, number) != 0
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    assert epochs_to_do_again(folder) in (0, 1)
    status = json.loads((folder / "status.json").read_text())
    assert status["state"] == ("running" if number == signal.SIGKILL else "interrupted")
    date_ahead(folder)
    done = run_forked(tmp_path, "train", *arguments, "resume=auto")
    assert done.returncode == 0, done.stderr
    assert [item.name for item in (tmp_path / "outputs" / "runs").iterdir()] == [undisturbed.name]
    assert json.loads((folder / "status.json").read_text())["seconds"] > 0
    assert_same_figures(undisturbed, folder)
    assert (folder / "test_frames.parquet").read_bytes() == (undisturbed / "test_frames.parquet").read_bytes()


def test_a_run_that_was_killed_within_an_epoch_goes_on_with_the_next_batch(undisturbed, tmp_path):
    arguments = [*ARGUMENTS, "checkpoint_minutes=0", "+callbacks.kill._target_=failing.KillWithinEpoch"]
    paths = f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests' / 'sweeps'}"
    assert run_forked(tmp_path, "train", *arguments, PYTHONPATH=paths).returncode == -signal.SIGKILL
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    loops = torch.load(folder / "last.ckpt", weights_only=True)["loops"]["fit_loop"]
    assert loops["epoch_progress"]["current"]["processed"] == 1
    assert loops["epoch_loop.batch_progress"]["current"]["ready"] == 1
    done = run_forked(tmp_path, "train", *arguments, "resume=auto", PYTHONPATH=paths)
    assert done.returncode == 0, done.stderr
    assert_same_figures(undisturbed, folder)


def test_without_resume_a_second_run_gets_a_folder_of_its_own(undisturbed):
    work = undisturbed.parents[2]
    done = run_forked(work, "train", *ARGUMENTS, "debug=fast_dev_run")
    assert done.returncode == 0, done.stderr
    again = run_forked(work, "train", *ARGUMENTS, "debug=fast_dev_run")
    assert again.returncode == 0, again.stderr
    names = sorted(item.name for item in (work / "outputs" / "runs").iterdir())
    assert len(names) == 3
    assert sum(name.endswith("-2") for name in names) == 1
