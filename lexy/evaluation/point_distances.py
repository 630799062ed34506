"""Distances between the marked pixels of two images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

Points = NDArray[np.float64]  # (P, 2)

PAIRS = 2**17  # up to so many, all pairs take less time than a search tree; the values are the same


def points_by_image(indices: NDArray[np.integer[Any]], shape: tuple[int, int, int]) -> list[Points]:
    """Return row and column of the pixels at sorted flat indices into (N, H, W): N arrays (P, 2) float64."""
    image, position = np.divmod(indices, shape[1] * shape[2])
    points = np.stack(np.divmod(position, shape[2]), axis=1).astype(np.float64)
    ends = np.searchsorted(image, np.arange(shape[0]), side="right")
    return [points[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def directed_distances(first: Points, second: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the distance from every point to the nearest one of the other set, both ways.

    Parameters
    ----------
    first, second : np.ndarray
        (P, 2) and (Q, 2) float64, neither empty.

    Returns
    -------
    forth, back : np.ndarray
        (P,) and (Q,) float64: from `first` to `second`, and from `second` to `first`.
    """
    if len(first) * len(second) > PAIRS:
        return cKDTree(second).query(first)[0], cKDTree(first).query(second)[0]
    squared = cdist(first, second, "sqeuclidean")
    return np.sqrt(squared.min(axis=1)), np.sqrt(squared.min(axis=0))
