"""Formats of image files: a reader for each."""

from pathlib import Path

from lexy.errors import UserError
from lexy.io.readers.microscope import MicroscopeReader
from lexy.io.readers.picture import PictureReader
from lexy.io.readers.reader import Reader
from lexy.io.readers.tiff import TiffReader

READERS: tuple[type[Reader], ...] = (TiffReader, PictureReader, MicroscopeReader)
SUFFIXES = tuple(suffix for reader in READERS for suffix in reader.suffixes)


def open_reader(path: Path) -> Reader:
    """Open an image file by the reader that its suffix names.

    Raises
    ------
    UserError
        If there is none, or the file cannot be read.
    """
    for reader in READERS:
        if path.suffix.lower() in reader.suffixes:
            return reader(path)
    raise UserError(
        f"{path}: images and videos are read from {', '.join(SUFFIXES)}; save it as one of them (Fiji: File > Save As)"
    )
