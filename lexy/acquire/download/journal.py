"""Record the files that passed the check, so that an interrupted download continues where it stopped."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from lexy.errors import UserError


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """Size, time and hash of a file that was decoded without error.

    Attributes
    ----------
    bytes, mtime : int
        Size in bytes and time of change in ns; while both stay the same, the file is taken to be unchanged.
    sha256 : str
        SHA-256 of the file's bytes, 64 hexadecimal digits.
    shape : list of int
        (H, W) in pixels.
    """

    bytes: int
    mtime: int
    sha256: str
    shape: list[int]


class Journal:
    """Append-only JSON lines, one for each checked file; the last line of a file counts.

    The file of an unreadable line, such as the incomplete last line of a killed process, is checked again.

    Parameters
    ----------
    path : Path
        The journal; made if it is missing.
    folder : Path
        Folder that the files are relative to.

    Attributes
    ----------
    checked : dict of str to CheckedFile
        By path of the file below `folder`.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder
        self.checked: dict[str, CheckedFile] = {}

    def __enter__(self) -> "Journal":
        with reporting_write_errors(self.path.parent):
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
        """Read one line; return how many bytes of it are kept: all, or none of an incomplete one."""
        if not line.endswith(b"\n"):
            return 0
        try:
            entry = json.loads(line)
            file = entry.pop("file")
            self.checked[file] = CheckedFile(**entry)
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        return len(line)

    def add(self, file: str, checked: CheckedFile) -> None:
        """Record a checked file.

        Raises
        ------
        UserError
            If the journal cannot be written.
        """
        self.checked[file] = checked
        with reporting_write_errors(self.path.parent):
            self._file.write(json.dumps({"file": file} | asdict(checked)).encode() + b"\n")
            self._file.flush()

    def is_current(self, file: str) -> bool:
        """Return whether the file exists and is unchanged since it was checked."""
        known = self.checked.get(file)
        if known is None:
            return False
        try:
            found = (self.folder / file).stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (known.bytes, known.mtime)


@contextmanager
def reporting_write_errors(folder: Path) -> Iterator[None]:
    """Turn an error of writing into a message that names the folder.

    Raises
    ------
    UserError
        If the disk is full, or the folder cannot be written to.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written to ({error.strerror or error}). Make room or give the right to, then run the "
            "same again: it goes on where it stopped."
        ) from error
