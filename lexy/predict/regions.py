"""What is measured of the instances of a frame before they are linked."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.measure import regionprops_table


def region_table(labels: NDArray[np.integer[Any]], probability: NDArray[np.floating[Any]]) -> pd.DataFrame:
    """Return one row for each instance.

    Parameters
    ----------
    labels : ndarray of int, (H, W)
    probability : ndarray of float, (H, W)

    Returns
    -------
    DataFrame
        label; row, column (centroid, pixels); area_px; confidence (mean of 2 |p − 0.5|); edge (whether it touches the
        border), touching (whether it touches another one).
    """
    confidence = 2 * np.abs(probability.astype(np.float32) - 0.5)
    properties = ("label", "centroid", "area", "intensity_mean")
    table = pd.DataFrame(regionprops_table(labels.astype(np.int32), confidence, properties=properties))
    names = {"centroid-0": "row", "centroid-1": "column", "area": "area_px", "intensity_mean": "confidence"}
    table = table.rename(columns=names)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return table.assign(edge=table["label"].isin(rim), touching=table["label"].isin(_touching(labels)))


def _touching(labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return the instances with a pixel next to one of another, corners included."""
    found = [
        np.stack([one, other])[:, (one != other) & (one > 0) & (other > 0)].ravel()
        for one, other in (
            (labels[:-1], labels[1:]),
            (labels[:, :-1], labels[:, 1:]),
            (labels[:-1, :-1], labels[1:, 1:]),
            (labels[:-1, 1:], labels[1:, :-1]),
        )
    ]
    numbers: NDArray[np.integer[Any]] = np.unique(np.concatenate(found))
    return numbers
