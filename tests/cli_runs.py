"""Real processes: the commands as a user types them, on tiny phantom data."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FAKE_KEY = "0123456789abcdef" * 2 + "fake-key"
TINY = [
    "data.fields=18",
    "data.size=64",
    "data.crop_size=32",
    "data.batch_size=8",
    "backbone.width=4",
    "backbone.depth=2",
    "backbone.normalization=group",
    "optimizer.lr=1e-2",
    "trainer.max_epochs=3",
    "trainer.enable_progress_bar=false",
]


def environment(**changes: str) -> dict[str, str]:
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    # A test that used W&B in its own process leaves the address of its service, which other commands do not share.
    own = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
    return own | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200"} | changes


def command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"lexy.cli.{name}", *arguments]


def run(folder: Path, name: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(name, *arguments),
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def run_forked(folder: Path, name: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """As `run`, in a process forked from a server that has imported torch: a process of its own but for the imports.

    What is read while Python starts or torch is imported (OMP_NUM_THREADS, PYTHONHASHSEED) is the server's.
    """
    call = command(name, *arguments)
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        request: dict[str, object] = {"module": call[2], "arguments": call[3:], "out": str(out), "err": str(err)}
        request |= {"folder": str(folder), "environment": environment(**changes)}
        server = _fork_server()
        assert server.stdin is not None
        assert server.stdout is not None
        print(json.dumps(request), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(call, status, out.read_text(), err.read_text())


@cache
def _fork_server() -> subprocess.Popen[str]:
    """One for each worker of the suite; it ends with its stdin."""
    call = [sys.executable, str(Path(__file__).with_name("fork_server.py"))]
    server = subprocess.Popen(call, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    return server
