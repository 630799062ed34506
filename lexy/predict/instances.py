"""Probabilities → instances: touching nuclei are split, specks removed, holes filled."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label, regionprops_table
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

SPECK = 0.15  # of a nucleus' area: what is smaller is no nucleus
HOLE = 0.15  # likewise, of what a nucleus may enclose: a larger gap is background between nuclei
SMOOTH = 1 / 16  # of a nucleus' diameter: the blur (σ) of distances, so that a ragged outline does not split
DEPTH = 1 / 20  # of a nucleus' diameter: how much nearer to the background a neck is than the middle of either half

Labels = NDArray[np.int32]


class Instances(NamedTuple):
    """What a frame's probabilities became.

    Attributes
    ----------
    labels : ndarray of int32, (H, W)
        0 = background; 1, 2, … in reading order.
    specks : int
        Pieces that were removed, for they were smaller than `SPECK` of a nucleus.
    holes : int
        Holes that were filled.
    """

    labels: Labels
    specks: int
    holes: int


def split_instances(probability: NDArray[np.floating], diameter: float) -> Instances:
    """Nuclei of one frame.

    What is above 0.5 is filled and cleaned; then a watershed on the smoothed distance to the background parts what has
    a neck. A marker is a maximum that stands out by `DEPTH` diameters above the saddle to a higher one.

    Parameters
    ----------
    probability : ndarray of float, (H, W)
        In [0, 1].
    diameter : float
        Of a typical nucleus, pixels.

    Returns
    -------
    Instances
    """
    area = np.pi * (diameter / 2) ** 2
    mask, filled = _without_small(probability > 0.5, SPECK * area)
    background, holes = _without_small(~mask, HOLE * area, border=True)
    # Outside the frame a nucleus goes on: an outline would make a cut one thinner than it is.
    distance = ndimage.distance_transform_edt(np.pad(~background, 1, mode="edge"))[1:-1, 1:-1]
    smooth = ndimage.gaussian_filter(distance, SMOOTH * diameter, mode="nearest")
    smooth[background] = 0
    if not (~background).any():
        return Instances(np.zeros(mask.shape, np.int32), filled, holes)
    markers = label(h_maxima(smooth, DEPTH * diameter))
    labels = watershed(-smooth, markers, mask=~background)
    return Instances(_with_missed(labels, ~background), filled, holes)


def region_table(labels: NDArray[np.integer], probability: NDArray[np.floating]) -> pd.DataFrame:
    """One row for each instance.

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


def _without_small(mask: NDArray[np.bool_], area: float, border: bool = False) -> tuple[NDArray[np.bool_], int]:
    """The mask without connected pieces below an area, and how many they were; `border` spares those at the border."""
    pieces, count = ndimage.label(mask)
    small = np.bincount(pieces.ravel(), minlength=count + 1) < area
    small[0] = False
    if border:
        small[np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])] = False
    return mask & ~small[pieces], int(small.sum())


def _with_missed(labels: NDArray[np.integer], mask: NDArray[np.bool_]) -> Labels:
    """Reading order; a piece that is too thin for a marker, as a sliver at the border is, is an instance as well."""
    missed, _ = ndimage.label(mask & (labels == 0))
    both = np.where(missed > 0, missed + labels.max(), labels)
    numbers, first, inverse = np.unique(both.ravel(), return_index=True, return_inverse=True)
    order = np.zeros(len(numbers), np.int32)
    nuclei = np.flatnonzero(numbers)
    order[nuclei[np.argsort(first[nuclei])]] = np.arange(1, len(nuclei) + 1)
    return order[inverse].reshape(both.shape)


def _touching(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Instances with a pixel next to one of another, corners included."""
    found = [
        np.stack([one, other])[:, (one != other) & (one > 0) & (other > 0)].ravel()
        for one, other in (
            (labels[:-1], labels[1:]),
            (labels[:, :-1], labels[:, 1:]),
            (labels[:-1, :-1], labels[1:, 1:]),
            (labels[:-1, 1:], labels[1:, :-1]),
        )
    ]
    return np.unique(np.concatenate(found))
