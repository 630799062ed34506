"""Find or download the atlas's XML: an address, a file, or a folder of files."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import rich.progress
from rich.console import Console

from lexy.acquire.download.http import fetch_file
from lexy.acquire.download.politeness import Politeness
from lexy.errors import UserError
from lexy.files import write_json

MAX_BYTES = 20_000_000_000  # limit of a download; the whole atlas has about 1 GB gzipped and 13 GB unpacked
GZIP = b"\x1f\x8b"
SUFFIXES = (".xml", ".xml.gz")


def source_files(source: str, work: Path, politeness: Politeness, console: Console) -> list[Path]:
    """Return the XML files of a source; download it if it is an address.

    Parameters
    ----------
    source : str
        An address, a file, or a folder of `*.xml` and `*.xml.gz`.
    work : Path
        Folder of the download, `index_source.xml` or `index_source.xml.gz`. It is reused as long as the address stays
        the same; remove it to download it again.
    politeness : Politeness
        How the address is requested.
    console : Console
        Told when a download is reused.

    Returns
    -------
    list of Path
        Files in the order of their names.

    Raises
    ------
    UserError
        If there is no such file, the folder holds none, or the download fails.
    """
    if "://" in source:
        return [_downloaded(source, work, politeness, console)]
    path = Path(source).expanduser()
    if not source or not path.exists():
        raise UserError(f"index.source={source}: no such file or folder. Name an https address, a file or a folder.")
    if path.is_file():
        return [path]
    files = sorted(file for file in path.iterdir() if file.name.lower().endswith(SUFFIXES) and file.is_file())
    if not files:
        raise UserError(f"index.source={source}: no *.xml and no *.xml.gz in this folder. Name another one.")
    return files


def _downloaded(address: str, work: Path, politeness: Politeness, console: Console) -> Path:
    suffix = ".xml.gz" if urlsplit(address).path.endswith(".gz") else ".xml"
    file, note = work / f"index_source{suffix}", work / "index_source.json"
    if file.is_file() and note.is_file() and json.loads(note.read_text()) == {"address": address, "file": file.name}:
        console.print(f"index: {file} is from this address already; remove it to download it anew.")
        return file
    note.unlink(missing_ok=True)
    fetch_file(address, file, politeness, max_bytes=MAX_BYTES)
    write_json(note, {"address": address, "file": file.name})
    return file


@contextmanager
def open_xml(file: Path, console: Console) -> Iterator[BinaryIO]:
    """Open a file, gzipped or not (by its first bytes, not its name), and show the progress of reading it.

    Raises
    ------
    UserError
        If it cannot be opened.
    """
    try:
        with file.open("rb") as beginning:
            is_gzip = beginning.read(len(GZIP)) == GZIP
        silent = not console.is_terminal
        opened = rich.progress.open(file, "rb", description="index", console=console, transient=True, disable=silent)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}). Mend that, or name another source.") from error
    with opened as raw:
        yield gzip.GzipFile(fileobj=raw) if is_gzip else raw  # type: ignore[misc]
