import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from lexy.runs.folder import Status, attempt_folders, new_folder


def _make(parent):
    return new_folder(parent, "label", "12345678").name


def test_processes_that_start_at_once_get_folders_of_their_own(tmp_path):
    # Spawned: a fork would inherit the threads and signal handlers of all tests before it.
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        names = list(pool.map(_make, [tmp_path] * 24))
    assert len(set(names)) == 24
    assert len(attempt_folders(tmp_path, "12345678")) == 24


def test_attempts_are_in_order_and_of_this_identity_only(tmp_path):
    for name in ("x-12345678-10", "x-12345678", "x-12345678-2", "x-123456789", "y-87654321", "x-12345678-old"):
        (tmp_path / name).mkdir()
    assert [folder.name for folder in attempt_folders(tmp_path, "12345678")] == [
        "x-12345678",
        "x-12345678-2",
        "x-12345678-10",
    ]


@pytest.mark.parametrize("label", ["../../etc", "a/b c", "..."])
def test_a_label_never_leads_out_of_its_folder(tmp_path, label):
    assert new_folder(tmp_path / "runs", label, "12345678").parent == tmp_path / "runs"


def test_status_grows(tmp_path):
    status = Status(tmp_path)
    assert status.read() == {}
    status.update(state="running", run="a")
    status.update(state="done")
    assert status.read()["run"] == "a"
    assert status.read()["state"] == "done"
