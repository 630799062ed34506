"""Writing files so that no half-written one is ever taken for a whole one."""

import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lexy.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; move it into place when the block ends well, remove it otherwise.

    Parameters
    ----------
    path : Path
        The file that shall exist, whole, after the block. Its folder is made if it is missing.

    Yields
    ------
    Path
        A name with the same suffix in the same folder, to be written by the caller.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes private files
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """SHA-256 of a value made of plain dicts, lists, strings and numbers (key order does not matter)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@contextmanager
def held(folder: Path, patience: float = 1.0) -> Iterator[None]:
    """Keep every other process from using a folder, until the block or the process ends.

    Parameters
    ----------
    folder : Path
    patience : float
        Seconds to wait for another process, which may only be looking whether the folder is in use.

    Raises
    ------
    UserError
        Another process has it.
    """
    handle, end = os.open(folder, os.O_RDONLY), time.monotonic() + patience
    try:
        while not _locked(handle, fcntl.LOCK_EX):
            if time.monotonic() >= end:
                raise UserError(f"{folder} is in use by another process: that run is still going.")
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def in_use(folder: Path) -> bool:
    """Whether a process holds a folder now."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        return not _locked(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _locked(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
