"""Uploading what was recorded offline, with a `wandb` that only writes down what it is asked."""

import fcntl
import os
import subprocess
import sys

import pytest
from cli_runs import environment

RECORDING = """
import pathlib, sys
pathlib.Path({log!r}).open("a").write("\\n".join(sys.argv[1:]) + "\\n--\\n")
for word in sys.argv[1:]:
    if "offline-run-" in word and "refused" not in word:
        (piece,) = pathlib.Path(word).glob("*.wandb")
        piece.with_name(piece.name + ".synced").touch()
"""


@pytest.fixture
def work(tmp_path):
    """Run a of two pieces, b that is uploaded; and a package `wandb` that keeps its arguments."""
    for run, times in {"a": ["20260102_000000", "20260101_000000"], "b": ["20260101_000000"]}.items():
        for time in times:
            piece = tmp_path / "outputs" / "s" / run / "wandb" / f"offline-run-{time}-{run}"
            piece.mkdir(parents=True)
            (piece / f"run-{run}.wandb").touch()
    (piece / "run-b.wandb.synced").touch()
    (tmp_path / "fake" / "wandb").mkdir(parents=True)
    (tmp_path / "fake" / "wandb" / "__init__.py").touch()
    (tmp_path / "fake" / "wandb" / "__main__.py").write_text(RECORDING.format(log=str(tmp_path / "log")))
    return tmp_path


def sync(work, *arguments):
    call = [sys.executable, "-m", "lexy.cli.sync", *arguments]
    fake = environment(PYTHONPATH=os.pathsep.join([str(work / "fake"), environment()["PYTHONPATH"]]))
    return subprocess.run(call, cwd=work, env=fake, capture_output=True, text=True, check=False)


def asked(work):
    return (
        [call.split("\n") for call in (work / "log").read_text().split("\n--\n") if call]
        if (work / "log").exists()
        else []
    )


def test_the_pieces_of_a_run_go_together_and_in_order_and_only_once(work):
    done = sync(work)
    assert done.returncode == 0, done.stderr
    (call,) = asked(work)
    assert call[:4] == ["sync", "--yes", "-n", "4"]
    assert [word.rpartition("offline-run-")[2] for word in call[4:]] == ["20260101_000000-a", "20260102_000000-a"]
    again = sync(work)
    assert again.returncode == 0
    assert "uploaded already" in again.stdout
    assert len(asked(work)) == 1


def test_a_dry_run_lists_and_sends_nothing(work):
    done = sync(work, "outputs", "--dry-run")
    assert done.stdout.count("to upload") == 2
    assert done.stdout.count("uploaded already") == 1
    assert not asked(work)


def test_a_run_that_is_going_on_is_left_alone(work):
    handle = os.open(work / "outputs" / "s" / "a", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        done = sync(work)
    finally:
        os.close(handle)
    assert done.stdout.count("still going on") == 2
    assert not asked(work)


def test_what_was_not_uploaded_is_said_and_tried_again(work):
    piece = work / "outputs" / "s" / "c" / "wandb" / "offline-run-20260101_000000-refused"
    piece.mkdir(parents=True)
    (piece / "run-refused.wandb").touch()
    done = sync(work)
    assert done.returncode == 1
    assert "1 of 3 pieces were not uploaded" in done.stderr
    assert "Traceback" not in done.stderr
    sync(work)
    assert len(asked(work)[1]) == 5  # the four words of the command, and the piece that is left


@pytest.mark.parametrize("arguments", [["none"], ["fake"]])
def test_nothing_to_upload_is_one_line(work, arguments):
    done = sync(work, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {arguments[0]}")
    assert done.stderr.count("\n") == 1


def test_without_a_key_the_real_command_says_so_and_nothing_is_marked(work):
    call = [sys.executable, "-m", "lexy.cli.sync", "outputs"]
    variables = environment(WANDB_BASE_URL="http://127.0.0.1:9", HOME=str(work), WANDB_MODE="offline")
    variables.pop("WANDB_API_KEY", None)
    done = subprocess.run(call, cwd=work, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "2 of 2 pieces were not uploaded" in done.stderr
    assert "Traceback" not in done.stderr
