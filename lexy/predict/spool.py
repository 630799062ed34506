"""Frames on disk, one file each: what does not fit into memory."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Spool:
    """Arrays by the number of their frame.

    A file for each, not one mapped file for all: written pages of a mapped file stay in memory until the system wants
    them back, and a long video would seem to need ever more.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __setitem__(self, frame: int, array: NDArray[Any]) -> None:
        np.save(self._path(frame), array, allow_pickle=False)

    def __getitem__(self, frame: int) -> NDArray[Any]:
        return np.load(self._path(frame), allow_pickle=False)

    def _path(self, frame: int) -> Path:
        return self.folder / f"{frame:07d}.npy"
