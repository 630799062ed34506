"""A real video with its reference masks."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Recording:
    """One video as it lies in its files.

    Attributes
    ----------
    name : str
        Of the cell; the group that splits and intervals go by.
    frames : ndarray, (T, H, W)
        Intensities in the files' own type, in the order of `numbers`.
    masks : ndarray of bool, (T, H, W)
        Nuclei; False all over where there is no mask.
    labelled : ndarray of bool, (T,)
        Whether a frame has a mask. A frame without one is not a frame without a nucleus.
    numbers : tuple of int
        The frames' numbers in the files, ascending.
    pixel_size : float
        Micrometres; NaN if unknown.
    interval : float
        Seconds from frame to frame; NaN if unknown.
    """

    name: str
    frames: NDArray[Any]
    masks: NDArray[np.bool_]
    labelled: NDArray[np.bool_]
    numbers: tuple[int, ...]
    pixel_size: float = math.nan
    interval: float = math.nan
