"""The identity of a run: a digest of everything that decides what it computes."""

import copy
import subprocess
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lexy.config.check import resolved
from lexy.files import fingerprint, sha256

# What a run is called, where it lies and who watches it does not change what it computes.
NOT_IDENTITY = {"name", "label", "tags", "paths", "logger", "resume", "sweep", "threads", "checkpoint_minutes"}
FILES_OF_WEIGHTS = {"weights", "checkpoint", "pretrained", "frame_network", "path"}


def identity(config: DictConfig, data: str) -> str:
    """Return eight hexadecimal digits that are the same for runs that compute the same.

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
    return fingerprint({"config": _with_digests(plain), "data": data})[:8]


def _with_digests(value: Any, key: str = "") -> Any:
    """Replace the path of every file of weights by the digest of its content."""
    if isinstance(value, dict):
        return {name: _with_digests(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_digests(item, key) for item in value]
    return sha256(Path(value)) if key in FILES_OF_WEIGHTS and value is not None and Path(value).is_file() else value


def commit() -> str | None:
    """Return the commit of this package, with `-dirty` if its code was changed since; None if it is no clone."""
    clone = Path(__file__).resolve().parents[2]
    if not (clone / ".git").exists():
        return None
    call = ["git", "-C", str(clone), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
