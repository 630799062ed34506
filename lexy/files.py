"""Files and folders: written whole or not at all, and by one process at a time."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
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


@contextmanager
def replacing_folder(path: Path, *, last: Collection[str], busy: str) -> Iterator[Path]:
    """Give a hidden folder beside `path`; move it into place when the block ends well, remove it otherwise.

    What a process that was killed has left, there or between the two renames, is put right first.

    Parameters
    ----------
    path : Path
        The folder that shall exist, whole, after the block. What was there is replaced.
    last : collection of str
        Files of which one is written last: without any of them nothing is moved.
    busy : str
        What a user is told if another process is at it.

    Yields
    ------
    Path
        An empty folder, to be filled by the caller.

    Raises
    ------
    UserError
        Another process is at it.
    """
    partial, previous = (path.with_name(f".{path.name}.{state}") for state in ("partial", "previous"))
    partial.mkdir(parents=True, exist_ok=True)
    with held(partial, busy, patience=0):
        for leftover in partial.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        if previous.is_dir() and not path.exists():
            previous.rename(path)
        shutil.rmtree(previous, ignore_errors=True)
        try:
            yield partial
            if any((partial / name).exists() for name in last):
                if path.exists():
                    path.rename(previous)
                partial.rename(path)
                shutil.rmtree(previous, ignore_errors=True)
                return  # the next process may have made its own hidden folder by now
            shutil.rmtree(partial)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of a value made of plain dicts, lists, strings and numbers (key order does not matter)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@contextmanager
def held(path: Path, busy: str | None = None, patience: float = 1.0) -> Iterator[None]:
    """Keep every other process from using a file or folder, until the block or the process ends.

    Parameters
    ----------
    path : Path
        What exists.
    busy : str or None
        What a user is told if another process has it; None: that a run is still going.
    patience : float
        Seconds to wait for another process, which may only be looking whether the folder is in use.

    Raises
    ------
    UserError
        Another process has it.
    """
    in_use_by_another = UserError(busy or f"{path} is in use by another process: that run is still going.")
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # NFS locks files that are open for writing
    end = time.monotonic() + patience
    try:
        while not _locked(handle, fcntl.LOCK_EX):
            if time.monotonic() >= end:
                raise in_use_by_another
            time.sleep(0.02)
        if not (path.exists() and os.path.samestat(path.stat(), os.fstat(handle))):
            raise in_use_by_another  # the process that had it has moved it away
        yield
    finally:
        os.close(handle)


def in_use(folder: Path) -> bool:
    """Return whether a process holds a folder now."""
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
    except OSError as error:
        raise UserError(
            f"the file system here has no locks ({error.strerror}): give a folder on another one."
        ) from error
    return True
