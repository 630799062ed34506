"""A full disk, or a place that cannot be written to, is told in one line."""

import errno
import subprocess
import sys

import pytest
import torch
from cli_runs import TINY, environment, run_forked

from lexy.errors import Pruned, UserError, as_user_error, print_error
from lexy.runs.folder import current_status

SHORT = [*TINY, "trainer.max_epochs=1"]
FULL = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); "


def test_a_full_disk_is_one_line_and_what_lies_there_is_whole(tmp_path):
    call = [sys.executable, "-c", FULL + "from lexy.cli.train import main; main()", *SHORT]
    done = subprocess.run(call, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    assert current_status(folder)["state"] == "failed"
    assert not list(folder.glob(".tmp*"))
    for path in folder.glob("*.ckpt"):  # one from before the disk was full
        torch.load(path, weights_only=True)
    assert run_forked(tmp_path, "train", *SHORT, "resume=auto").returncode == 0


def test_outputs_that_cannot_be_a_folder_are_one_line(tmp_path):
    (tmp_path / "outputs").write_text("a file")
    done = run_forked(tmp_path, "train", *SHORT)
    assert done.returncode == 1
    assert "outputs" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("error", [UserError("wrong"), Pruned("behind")])
def test_an_error_for_users_is_shown_as_it_is(error, capsys):
    assert as_user_error(error) is error
    print_error(error)
    assert capsys.readouterr().err == f"error: {error}\n"


def test_an_error_of_the_system_names_the_file_and_one_of_the_program_is_none_for_users():
    told = str(as_user_error(OSError(errno.ENOSPC, "No space left on device", "out/best.ckpt")))
    assert told.startswith("out/best.ckpt: No space left on device.")
    assert as_user_error(OSError(errno.ENOENT, "No such file", "out")) is None
    assert as_user_error(RuntimeError("size mismatch")) is None
