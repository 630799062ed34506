"""Writing files so that no half-written one is ever taken for a whole one."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from lexy.errors import UserError

CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}


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


def written_nowhere(error: Exception) -> UserError | None:
    """What to tell a user whose disk is full, or whose folder cannot be written to; None for any other error."""
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
        place = f"{error.filename}: " if error.filename else ""
        return UserError(f"{place}{error.strerror}. Nothing is half-written. Make room, or give another folder.")
    if isinstance(error, RuntimeError) and "PyTorchStreamWriter failed" in str(error):  # torch hides the system's words
        return UserError("A checkpoint cannot be written: the disk is full. Make room, or give another folder.")
    return None


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """SHA-256 of a value made of plain dicts, lists, strings and numbers (key order does not matter)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@contextmanager
def locked(path: Path, refusal: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of a file or folder until the block or the process ends.

    Parameters
    ----------
    path : Path
        An existing file or folder.
    refusal : str
        Message for the user if another process holds the lock.
    patience : float
        Seconds to wait for the other process.

    Raises
    ------
    UserError
        If another process holds the lock.
    """
    handle, end = os.open(path, os.O_RDONLY), time.monotonic() + patience
    try:
        while not _try_lock(handle, fcntl.LOCK_EX):
            if time.monotonic() >= end:
                raise UserError(refusal)
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def held(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a run's folder; wait 1 s for a process that only tests whether it is `in_use`."""
    return locked(folder, f"{folder} is in use by another process: that run is still going.", patience=1)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `path`; move it into place if the block ends well and leaves something in it.

    Parameters
    ----------
    path : Path
        The folder to write, whole or not at all.

    Raises
    ------
    UserError
        If another process writes the same folder.
    """
    partial, previous = (path.with_name(f".{path.name}.{state}") for state in ("partial", "previous"))
    partial.mkdir(parents=True, exist_ok=True)
    with locked(partial, f"{path}: another process is writing there. Wait for it to end."):
        empty_folder(partial)  # of what a killed run left
        if previous.is_dir() and not path.exists():  # killed between the two renames below
            previous.rename(path)
        shutil.rmtree(previous, ignore_errors=True)
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if not any(partial.iterdir()):
            partial.rmdir()
            return
        if path.exists():
            path.rename(previous)
        partial.rename(path)
        shutil.rmtree(previous, ignore_errors=True)


def empty_folder(folder: Path) -> None:
    """Remove everything in a folder."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def in_use(folder: Path) -> bool:
    """Return whether a process holds the lock of a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        return not _try_lock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
