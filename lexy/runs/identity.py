"""Who a run is, and which folder is its own."""

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lexy.config.check import resolved
from lexy.files import fingerprint, in_use, sha256, write_json

# What a run is called, where it lies and who watches it does not change what it computes.
NOT_IDENTITY = {"name", "label", "tags", "paths", "logger", "resume", "sweep", "threads", "checkpoint_minutes"}
FILES_OF_WEIGHTS = {"weights", "checkpoint", "pretrained", "frame_network", "path"}


def identity(config: DictConfig, data: str) -> str:
    """Eight hexadecimal digits that are the same for runs that compute the same.

    Parameters
    ----------
    config : DictConfig
        With its interpolations: what comes from `paths` is left out wherever it is used.
    data : str
        Fingerprint of the data.

    Returns
    -------
    str
        Start of the SHA-256 of the resolved config without logging and output paths, with the data's fingerprint, and
        with the SHA-256 of every file of weights instead of its path.
    """
    config = copy.deepcopy(config)
    OmegaConf.set_readonly(config, False)
    for key in config.get("paths", {}):
        config.paths[key] = key
    plain = {key: value for key, value in resolved(config).items() if key not in NOT_IDENTITY}
    return fingerprint({"config": _content(plain), "data": data})[:8]


def _content(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _content(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_content(item, key) for item in value]
    return sha256(Path(value)) if key in FILES_OF_WEIGHTS and value is not None and Path(value).is_file() else value


def attempts(parent: Path, digits: str) -> list[Path]:
    """Run folders of an identity, the oldest first."""
    pattern = re.compile(rf".*-{digits}(?:-(\d+))?")
    found = []
    for folder in parent.glob(f"*-{digits}*"):
        match = pattern.fullmatch(folder.name)
        if match and folder.is_dir():
            found.append((int(match[1] or 1), folder))
    return [folder for _, folder in sorted(found)]


def attempt_of(folder: Path) -> int:
    """Which attempt at its identity a run's folder holds, from 1."""
    match = re.fullmatch(r".*-[0-9a-f]{8}(?:-(\d+))?", folder.name)
    return int(match[1] or 1) if match else 1


def new_folder(parent: Path, label: str, digits: str) -> Path:
    """Make a folder that no other process has, `LABEL-DIGITS` or `LABEL-DIGITS-ATTEMPT`."""
    parent.mkdir(parents=True, exist_ok=True)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", label).strip("._") or "run"
    attempt = len(attempts(parent, digits)) + 1
    while True:
        folder = parent / (f"{safe}-{digits}" if attempt == 1 else f"{safe}-{digits}-{attempt}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            attempt += 1


def last_status(folder: Path) -> dict[str, Any]:
    """Status of a run, which is running if a process has its folder, and was interrupted if it only says so."""
    status = Status(folder).read()
    state = status.get("state", "running")
    if state != "done" and in_use(folder):
        return status | {"state": "running"}
    return status | {"state": "interrupted" if state == "running" else state}


def commit() -> str | None:
    """Git's name for the code of this package, with `-dirty` if it was changed since; None if it is no clone."""
    clone = Path(__file__).resolve().parents[2]
    if not (clone / ".git").exists():
        return None
    call = ["git", "-C", str(clone), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


class Status:
    """What is known of a run while and after it runs: `status.json` in its folder.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "status.json"

    def read(self) -> dict[str, Any]:
        """An empty dict if there is none yet."""
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def update(self, **values: Any) -> None:
        """Add or replace plain values."""
        write_json(self.path, self.read() | values)
