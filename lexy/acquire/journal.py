"""A record of files that were found whole, kept so that a run that was stopped goes on where it was."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from lexy.errors import UserError


@dataclass(frozen=True, slots=True)
class Whole:
    """What is known of a file that was read, found to be an image and hashed.

    Attributes
    ----------
    bytes, mtime : int
        Its size, and its time of change in ns: as long as they are the same, it is taken to be the same file.
    sha256 : str
        64 hexadecimal digits.
    shape : list of int
        (H, W) in pixels.
    """

    bytes: int
    mtime: int
    sha256: str
    shape: list[int]


class Journal:
    """Append-only JSON lines, one for each whole file, written at once; the last one of a file counts.

    A line that cannot be read, such as the torn last one of a process that was killed, only means that its file is
    checked again.

    Parameters
    ----------
    path : Path
        The file; made if missing.
    folder : Path
        What the files are relative to.

    Attributes
    ----------
    whole : dict of str to Whole
        By file.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder
        self.whole: dict[str, Whole] = {}

    def __enter__(self) -> "Journal":
        with writing(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab+")
            self._file.seek(0)
            self._file.truncate(sum(self._read(line) for line in self._file))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _read(self, line: bytes) -> int:
        """Take in a line; the bytes of it that stay."""
        if not line.endswith(b"\n"):
            return 0
        try:
            entry = json.loads(line)
            file = entry.pop("file")
            self.whole[file] = Whole(**entry)
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        return len(line)

    def note(self, file: str, whole: Whole) -> None:
        """Record a whole file.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        self.whole[file] = whole
        with writing(self.path.parent):
            self._file.write(json.dumps({"file": file} | asdict(whole)).encode() + b"\n")
            self._file.flush()

    def holds(self, file: str) -> bool:
        """Whether the file is there and is the one that was found whole."""
        known = self.whole.get(file)
        if known is None:
            return False
        try:
            found = (self.folder / file).stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (known.bytes, known.mtime)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into a message that names the folder.

    Raises
    ------
    UserError
        The disk is full, or the folder cannot be written to.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written to ({error.strerror or error}). Make room or give the right to, then run the "
            "same again: it goes on where it stopped."
        ) from error
