"""Divide the manifest into consecutive shards, which are labelled and cropped independently of one another."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lexy.errors import UserError
from lexy.files import held

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One of `count` shards.

    Parameters
    ----------
    index : int
        0 to `count` - 1.
    count : int
        At least 1.

    Raises
    ------
    UserError
        If there is no such shard.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise UserError(f"shard={self.index}: with shards={self.count} it is one of 0 to {self.count - 1}.")

    @property
    def name(self) -> str:
        """Name of the shard's files, `shard-003-of-016`."""
        return f"shard-{self.index:03d}-of-{self.count:03d}"

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """Return the shard's slice of a list; all slices in order are the list, their lengths differ by at most 1."""
        start, end = (len(items) * at // self.count for at in (self.index, self.index + 1))
        return items[start:end]


def finished_record(marker: Path, inputs: str) -> dict[str, Any] | None:
    """Read the record of finished work.

    Parameters
    ----------
    marker : Path
        JSON file that the work writes last.
    inputs : str
        Fingerprint of the inputs; the file holds that of its own inputs as `inputs`.

    Returns
    -------
    dict or None
        The content of the file; None if the work is not finished or was made from other inputs.
    """
    if not marker.is_file():
        return None
    info = json.loads(marker.read_text())
    return info if info.get("inputs") == inputs else None


@contextmanager
def exclusive(folder: Path, name: str) -> Iterator[None]:
    """Keep other processes from the same work until the block or the process ends.

    Raises
    ------
    UserError
        If another process does it now.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / f".{name}.lock"
    lock.touch()
    with held(lock, f"{folder}: another process is at {name} there. Wait for it to end.", patience=0):
        try:
            yield
        except UserError:
            if made:  # leave no new folders behind
                lock.unlink()
            for path in made:
                with suppress(OSError):  # something was written there
                    path.rmdir()
            raise
