"""How large nuclei are in the frames that a network is trained on."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

ENOUGH = 200  # masks that are looked at, evenly spaced over all


def sizes(masks: NDArray[np.bool_], pixel_size: float = math.nan) -> dict[str, Any]:
    """Return what a checkpoint keeps of the scale that it was trained at, as plain values.

    Parameters
    ----------
    masks : ndarray of bool, (N, H, W)
        Of training.
    pixel_size : float
        µm; NaN if unknown.

    Returns
    -------
    dict
        `nucleus_diameter` in pixels, `crop_size` (height, width) in pixels, `pixel_size` in µm; None where unknown.
    """
    return {
        "nucleus_diameter": nucleus_diameter(masks),
        "crop_size": list(masks.shape[1:]),
        "pixel_size": None if math.isnan(pixel_size) else pixel_size,
    }


def evenly(count: int) -> NDArray[np.int64]:
    """Return the evenly spaced positions of the masks that are measured, out of `count`."""
    return np.unique(np.linspace(0, count - 1, min(ENOUGH, count)).round().astype(np.int64))


def nucleus_diameter(masks: NDArray[np.bool_]) -> float | None:
    """Return the median diameter of whole nuclei, as of discs of their area.

    Parameters
    ----------
    masks : ndarray of bool, (N, H, W)

    Returns
    -------
    float or None
        Pixels. Connected pieces that touch the border are left out, unless there is nothing else; None without any.
    """
    chosen = masks[evenly(len(masks))]
    whole: list[int] = []
    cut: list[int] = []
    for mask in chosen:
        pieces = label(mask)
        areas = np.bincount(pieces.ravel())
        border = np.unique(np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]))
        for number in range(1, len(areas)):
            (cut if number in border else whole).append(int(areas[number]))
    areas = np.array(whole or cut)
    return float(2 * np.sqrt(np.median(areas) / np.pi)) if len(areas) else None
