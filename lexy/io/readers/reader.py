"""What a reader of a file format offers; to add one, write it in a file of its own and name it in `READERS`."""

from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

AGAIN = "copy or export it again"  # advice on a damaged file


class Reader(Protocol):
    """An open image file: one array of several axes, read plane by plane.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    suffixes : tuple of str
        Of the names of its files, in lower case with the dot.
    axes : str
        A letter for each axis: T, C, Z, Y, X, S (colour samples of a pixel), I and Q (not named by the file).
    sizes : tuple of int
        Length of each axis.
    dtype : dtype
        Of the values.
    channels : list of str
        Names of the channels; empty where the file has none.
    pixel_size : float
        µm; NaN if the file does not say.
    interval : float
        Seconds from frame to frame; NaN likewise.

    Raises
    ------
    UserError
        If the file cannot be read, is cut short, or holds several images of different size.
    """

    suffixes: ClassVar[tuple[str, ...]]
    axes: str
    sizes: tuple[int, ...]
    dtype: np.dtype[Any]
    channels: list[str]
    pixel_size: float
    interval: float

    def __init__(self, path: Path) -> None: ...

    def plane(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read one plane (H, W) in the file's own type; any exception says that it cannot be read.

        Parameters
        ----------
        index : tuple
            A number for each axis, but all of Y and X.
        """

    def close(self) -> None:
        """Close the file."""
