"""Frames on disk, one file each: what does not fit into memory."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexy.errors import UserError


class Spool:
    """Arrays by the number of their frame.

    A file for each, not one mapped file for all: written pages of a mapped file stay in memory until the system wants
    them back, and a long video would seem to need ever more.

    Parameters
    ----------
    folder : Path
        Made if it is not there.

    Raises
    ------
    UserError
        When a frame is written: the disk is full, or the folder may not be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __setitem__(self, frame: int, array: NDArray[Any]) -> None:
        try:
            np.save(self._path(frame), array, allow_pickle=False)
        except OSError as error:  # NumPy's own, of a write that was cut short, has neither a file's name nor a reason
            raise UserError(
                f"{self.folder}: temporary files cannot be written ({error.strerror or error}); they need about 6 "
                "bytes for each pixel of the video. Make room, or have them elsewhere: by --output, folder= or TMPDIR."
            ) from error

    def __getitem__(self, frame: int) -> NDArray[Any]:
        return np.load(self._path(frame), allow_pickle=False)

    def _path(self, frame: int) -> Path:
        return self.folder / f"{frame:07d}.npy"
