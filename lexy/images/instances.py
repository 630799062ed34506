"""Masks and instances of the maps of a network: touching nuclei are split, specks removed, holes filled."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label
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


def decode(
    probability: NDArray[np.floating[Any]], diameter: float, distance: NDArray[np.floating[Any]] | None = None
) -> Instances:
    """Return the nuclei of one frame.

    What is above 0.5 is filled and cleaned; then a watershed on the distance to the background parts what has a neck. A
    marker is a maximum that stands out by `DEPTH` diameters above the saddle to a higher one.

    Parameters
    ----------
    probability : ndarray of float, (H, W)
        That a pixel is nucleus, in [0, 1].
    diameter : float
        Of a typical nucleus, pixels.
    distance : ndarray of float, (H, W), optional
        To the outline, as a network gives it: from 0 there to 1 in the middle of a nucleus. If left out, it is measured
        in the mask, and smoothed.
    """
    area = np.pi * (diameter / 2) ** 2
    mask, specks = _without_small(probability > 0.5, SPECK * area)
    background, holes = _without_small(~mask, HOLE * area, border=True)
    if background.all():
        return Instances(np.zeros(mask.shape, np.int32), specks, holes)
    depth = _depth(~background, diameter) if distance is None else distance.astype(np.float64) * (diameter / 2)
    depth[background] = 0
    markers = label(h_maxima(depth, DEPTH * diameter))
    labels = watershed(-depth, markers, mask=~background)
    return Instances(_with_missed(labels, ~background), specks, holes)


def _depth(mask: NDArray[np.bool_], diameter: float) -> NDArray[np.float64]:
    """Return the smoothed distance to the background, pixels."""
    # Outside the frame a nucleus goes on: an outline would make a cut one thinner than it is.
    distance = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]
    smooth: NDArray[np.float64] = ndimage.gaussian_filter(distance, SMOOTH * diameter, mode="nearest")
    return smooth


def _without_small(mask: NDArray[np.bool_], area: float, border: bool = False) -> tuple[NDArray[np.bool_], int]:
    """Remove connected pieces below an area, and count them; `border` spares those at the border."""
    pieces, count = ndimage.label(mask)
    small = np.bincount(pieces.ravel(), minlength=count + 1) < area
    small[0] = False
    if border:
        small[np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])] = False
    return mask & ~small[pieces], int(small.sum())


def _with_missed(labels: NDArray[np.integer[Any]], mask: NDArray[np.bool_]) -> Labels:
    """Number instances in reading order; pieces too thin for a marker, as at the border, are instances as well."""
    missed, _ = ndimage.label(mask & (labels == 0))
    both = np.where(missed > 0, missed + labels.max(), labels)
    numbers, first, inverse = np.unique(both.ravel(), return_index=True, return_inverse=True)
    order = np.zeros(len(numbers), np.int32)
    nuclei = np.flatnonzero(numbers)
    order[nuclei[np.argsort(first[nuclei])]] = np.arange(1, len(nuclei) + 1)
    return order[inverse].reshape(both.shape)
