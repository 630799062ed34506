"""Real processes: the commands as a user types them, on tiny phantom data."""

import os
import subprocess
import sys
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
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200"} | changes


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
