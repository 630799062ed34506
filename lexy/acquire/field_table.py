"""Any number of fields, once each, in the order of their names, in constant memory."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

from lexy.acquire.manifest import ChannelImage, FieldEntry

INSERT = "INSERT INTO fields VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET entry = min(entry, excluded.entry)"


class FieldTable:
    """A table of fields in a file that is there only as long as the block.

    Parameters
    ----------
    path : Path
        The file; a left-over of a run that was killed is replaced.
    seed : int
        Of the draw. What is drawn depends on the seed and the fields' names alone.

    Raises
    ------
    OSError
        It cannot be written.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.seed, self.added = path, seed, 0

    def __enter__(self) -> "FieldTable":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        with _writing():
            self._base = sqlite3.connect(self.path, isolation_level=None)
            self._base.execute("PRAGMA journal_mode = OFF")
            self._base.execute("PRAGMA synchronous = OFF")
            self._base.execute("CREATE TABLE fields (name TEXT PRIMARY KEY, lot BLOB, entry TEXT) WITHOUT ROWID")
            self._base.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()
        self.path.unlink(missing_ok=True)

    def add(self, entry: FieldEntry) -> None:
        """Add a field; of several with one name the first by antibody, cell line and gene counts, whenever it comes."""
        lot = hashlib.sha256(f"{self.seed} {entry.field}".encode()).digest()
        row = entry.field, lot, json.dumps(entry, default=_by_name, ensure_ascii=False)
        with _writing():
            self._base.execute(INSERT, row)
        self.added += 1

    def __len__(self) -> int:
        count: int = self._base.execute("SELECT count(*) FROM fields").fetchone()[0]
        return count

    def draw(self, number: int | None) -> Iterator[FieldEntry]:
        """That many fields drawn by lot, or all of them, in the order of their names.

        Parameters
        ----------
        number : int or None
            How many. A smaller draw is part of a larger one.
        """
        rows = self._base.execute(
            "SELECT entry FROM fields WHERE name IN (SELECT name FROM fields ORDER BY lot LIMIT ?) ORDER BY name",
            (-1 if number is None else number,),
        )
        for (text,) in rows:
            row = json.loads(text)
            images = {channel: ChannelImage(**image) for channel, image in row.pop("images").items()}
            yield FieldEntry(images=images, locations=tuple(row.pop("locations")), **row)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # the disk is full, the folder cannot be written to
        raise OSError(str(error)) from error


def _by_name(value: FieldEntry | ChannelImage) -> dict[str, Any]:
    return {part.name: getattr(value, part.name) for part in fields(value)}
