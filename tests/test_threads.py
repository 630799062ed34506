import subprocess
import sys

import pytest
import torch
from cli_runs import environment

from lexy.cli.predict import main
from lexy.threads import use_threads

HELP = """
import os, sys
from lexy.cli.{command} import main
sys.argv = ["lexy", "--help"]
try:
    main()
except SystemExit:
    pass
assert "torch" not in sys.modules
print(os.environ["OMP_WAIT_POLICY"])
"""


@pytest.fixture
def threads():
    """As many as there were before."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("command", "own", "policy"),
    [
        ("train", {}, "PASSIVE"),
        ("evaluate", {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
        ("predict", {}, "PASSIVE"),
        ("predict", {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
    ],
)
def test_before_a_command_imports_torch_its_threads_are_told_how_to_wait(command, own, policy):
    variables = {name: value for name, value in environment().items() if name != "OMP_WAIT_POLICY"} | own
    call = [sys.executable, "-c", HELP.format(command=command)]
    done = subprocess.run(call, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == policy


def test_threads_are_set_or_left(threads):
    use_threads(threads + 2)
    assert torch.get_num_threads() == threads + 2
    use_threads(None)
    assert torch.get_num_threads() == threads + 2


def test_prediction_takes_their_number(threads, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="no such file"):
        main(["none.tif", "--output", "none_yet", "--threads", str(threads + 1)])
    assert torch.get_num_threads() == threads + 1
