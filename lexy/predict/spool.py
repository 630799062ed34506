"""Arrays on disk, one file each: what does not fit into memory."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexy.errors import UserError


class Spool:
    """Arrays by number, that of their frame as a rule.

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

    def __setitem__(self, number: int, array: NDArray[Any]) -> None:
        try:
            np.save(self._path(number), array, allow_pickle=False)
        except OSError as error:  # NumPy's own, of a write that was cut short, has neither a file's name nor a reason
            raise UserError(
                f"{self.folder}: temporary files cannot be written ({error.strerror or error}); they need about 6 "
                "bytes for each pixel of the video, and 20 more if the network sees whole clips. Make room, or have "
                "them elsewhere: by --output, folder= or TMPDIR."
            ) from error

    def __contains__(self, number: int) -> bool:
        return self._path(number).exists()

    def __getitem__(self, number: int) -> NDArray[Any]:
        array: NDArray[Any] = np.load(self._path(number), allow_pickle=False)
        return array

    def mapped(self, number: int) -> NDArray[Any]:
        """Return an array of which only the parts that are looked at are read; changes to it are not written."""
        array: NDArray[Any] = np.load(self._path(number), mmap_mode="c", allow_pickle=False)
        return array

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:07d}.npy"
