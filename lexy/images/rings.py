"""What the brightness of a nucleus is compared with: the ring around it, and the background of its frame."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

NUCLEUS_DIAMETER = 43.0  # px: width of a nucleus at the published scale, for which `INNER` and `OUTER` hold
INNER, OUTER = 2.0, 6.0  # px from a nucleus: the ring lies farther than the first, at most as far as the second
PUBLISHED_REACH = 4  # px: the published ring is what a 9 × 9 box adds to the mask
BACKGROUND_PERCENTILE = 1.0  # of a frame


def label_rings(labels: NDArray[np.integer[Any]], inner: float, outer: float) -> NDArray[np.integer[Any]]:
    """Return the rings of all nuclei of a frame.

    Parameters
    ----------
    labels : ndarray of int, (H, W)
        0 = background.
    inner, outer : float
        Euclidean distances to a nucleus in pixels: more than `inner`, at most `outer`.

    Returns
    -------
    ndarray of int, (H, W)
        The label of the nearest nucleus where its distance lies between the two; 0 elsewhere.
    """
    if not labels.any():  # nothing to be distant from
        return np.zeros_like(labels)
    distance, (rows, columns) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    return np.where((distance > inner) & (distance <= outer), labels[rows, columns], 0)


def box_ring(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return what a box of 2 · `reach` + 1 pixels adds to a mask (H, W) by dilation: bool (H, W)."""
    # Ten times faster than `binary_dilation`.
    dilated: NDArray[np.bool_] = ndimage.maximum_filter(mask, 2 * reach + 1, mode="constant")
    return dilated & ~mask


def background(frame: NDArray[np.floating[Any]]) -> np.floating[Any]:
    """Return the grey value that counts as the background of a frame (H, W): its 1st percentile."""
    value: np.floating[Any] = np.percentile(frame, BACKGROUND_PERCENTILE)
    return value
