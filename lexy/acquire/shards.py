"""Shards: the manifest cut into consecutive pieces that are labelled and cropped independently of one another."""

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
    """One of `count` pieces.

    Parameters
    ----------
    index : int
        0 to `count` - 1.
    count : int
        At least 1.

    Raises
    ------
    UserError
        If there is no such piece.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise UserError(f"shard={self.index}: with shards={self.count} it is one of 0 to {self.count - 1}.")

    @property
    def name(self) -> str:
        """Name of its files, `shard-003-of-016`."""
        return f"shard-{self.index:03d}-of-{self.count:03d}"

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """Its piece of a list; the pieces of all shards in a row are the list, their lengths differ by at most one."""
        start, end = (len(items) * at // self.count for at in (self.index, self.index + 1))
        return items[start:end]


def finished(marker: Path, inputs: str) -> dict[str, Any] | None:
    """What a finished piece of work says of itself; None if it was not finished or made from other inputs.

    Parameters
    ----------
    marker : Path
        JSON file that is written last.
    inputs : str
        Fingerprint of what the work is made from, kept in the file under the same name.
    """
    if not marker.is_file():
        return None
    info = json.loads(marker.read_text())
    return info if info.get("inputs") == inputs else None


@contextmanager
def only_one(folder: Path, name: str) -> Iterator[None]:
    """Keep every other process from the same work until the block or the process ends.

    Raises
    ------
    UserError
        Another process is at it.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / f".{name}.lock"
    lock.touch()
    with held(lock, f"{folder}: another process is at {name} there. Wait for it to end.", patience=0):
        try:
            yield
        except UserError:
            if made:  # a mistake leaves no folders behind
                lock.unlink()
            for path in made:
                with suppress(OSError):  # something was written there
                    path.rmdir()
            raise
