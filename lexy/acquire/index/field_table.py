"""Collect any number of fields in constant memory: each once, in the order of their names."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from lexy.acquire.manifest import FieldEntry, from_row, to_row

INSERT = "INSERT INTO fields VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET entry = min(entry, excluded.entry)"


class FieldTable:
    """A table of fields in a temporary SQLite file, removed at the end of the block.

    Parameters
    ----------
    path : Path
        The file; replaced if a killed run left it behind.
    seed : int
        Seed of `sample`. A sample depends on the seed and the fields' names alone.

    Raises
    ------
    OSError
        If the file cannot be written.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.seed, self.added = path, seed, 0

    def __enter__(self) -> "FieldTable":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        with _sqlite_as_os_error():
            self._database = sqlite3.connect(self.path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = OFF")
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute("CREATE TABLE fields (name TEXT PRIMARY KEY, lot BLOB, entry TEXT) WITHOUT ROWID")
            self._database.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        self.path.unlink(missing_ok=True)

    def add(self, entry: FieldEntry) -> None:
        """Add a field; of several with one name keep the first in the order of antibody, cell line and gene."""
        lot = hashlib.sha256(f"{self.seed} {entry.field}".encode()).digest()
        row = entry.field, lot, json.dumps(to_row(entry), ensure_ascii=False)
        with _sqlite_as_os_error():
            self._database.execute(INSERT, row)
        self.added += 1

    def __len__(self) -> int:
        count: int = self._database.execute("SELECT count(*) FROM fields").fetchone()[0]
        return count

    def sample(self, number: int | None) -> Iterator[FieldEntry]:
        """Iterate over a random sample of the fields, in the order of their names.

        Parameters
        ----------
        number : int or None
            Size of the sample; None: all fields. A smaller sample is part of a larger one.
        """
        rows = self._database.execute(
            "SELECT entry FROM fields WHERE name IN (SELECT name FROM fields ORDER BY lot LIMIT ?) ORDER BY name",
            (-1 if number is None else number,),
        )
        for (text,) in rows:
            yield from_row(json.loads(text))


@contextmanager
def _sqlite_as_os_error() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # the disk is full, the folder cannot be written to
        raise OSError(str(error)) from error
