"""Nuclear stain → instances of the nuclei."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

import numpy as np
from annotated_types import Gt, Interval
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

Image = NDArray[np.float32]
Labels = NDArray[np.int32]

WORKING_SIDE = 512  # larger images are averaged down by a whole factor first
BACKGROUND = 0.05  # quantile of the image that is taken for its background
SEPARATION = 3.5  # Otsu's halves of pure noise lie 2.7 standard deviations of the lower one apart


@runtime_checkable
class Labeller(Protocol):
    """Whatever finds nuclei in images of a nuclear stain."""

    def label(self, images: Sequence[NDArray[np.integer]]) -> list[NDArray[np.int32]]:
        """Label the nuclei of each image.

        Parameters
        ----------
        images : sequence of ndarray of uint8 or uint16, each (H, W)
            May differ in shape.

        Returns
        -------
        list of ndarray of int32, each (H, W)
            Instances numbered from 1, 0 = background; no nuclei: all 0.
        """
        ...


@dataclass(frozen=True)
class Classical:
    """Log-Otsu threshold, corrected for each nucleus, with a watershed that splits touching ones. No training, no GPU.

    Parameters
    ----------
    diameter : float or None
        Typical diameter of a nucleus in pixels of the image, larger than 0; None: estimated for each image.
    brightness : float
        A nucleus ends where it falls below this share of its own upper quartile (0 to 1): tight for bright nuclei
        with a halo, loose for dim ones.
    split : float
        Depth of the neck that splits a nucleus in two, as a share of the typical radius (0.01 to 1); larger: fewer
        splits.
    min_share : float
        Objects smaller than this share of a typical nucleus' area are dropped (0 to 1).
    """

    diameter: Annotated[float, Gt(0)] | None = None
    brightness: Annotated[float, Interval(ge=0, le=1)] = 0.5
    split: Annotated[float, Interval(ge=0.01, le=1)] = 0.05
    min_share: Annotated[float, Interval(ge=0, le=1)] = 0.15

    def label(self, images: Sequence[NDArray[np.integer]]) -> list[NDArray[np.int32]]:
        """Label the nuclei of each image; see `Labeller.label`."""
        return [self._label(image) for image in images]

    def _label(self, image: NDArray[np.integer]) -> Labels:
        factor = -(-max(image.shape) // WORKING_SIDE)
        small = _average(image, factor)
        threshold = _threshold(ndimage.gaussian_filter(small, 1))
        if threshold is None:
            return np.zeros(image.shape, np.int32)
        diameter = self.diameter / factor if self.diameter else _estimate_diameter(small > threshold)
        smooth = ndimage.gaussian_filter(small, max(diameter / 24, 0.7))
        labels = self._split(smooth > threshold, diameter)
        labels = self._split(smooth > self._own_threshold(smooth, labels), diameter)
        areas = np.bincount(labels.ravel())
        keep = areas >= self.min_share * np.pi * (diameter / 2) ** 2
        keep[0] = False
        labels = _rounded((np.cumsum(keep) * keep)[labels].astype(np.int32), diameter)
        return np.kron(labels, np.ones((factor, factor), np.int32))[: image.shape[0], : image.shape[1]]

    def _own_threshold(self, image: Image, labels: Labels) -> Image:
        """For every object's pixels its own threshold, infinite outside."""
        background = np.quantile(image, BACKGROUND)
        thresholds = np.full(labels.max() + 1, np.inf, np.float32)
        for number, box in enumerate(ndimage.find_objects(labels), start=1):
            level = np.quantile(image[box][labels[box] == number], 0.75)
            thresholds[number] = background + self.brightness * (level - background)
        return thresholds[labels]

    def _split(self, mask: NDArray[np.bool_], diameter: float) -> Labels:
        """Solid objects, cut at their necks."""
        opened = ndimage.binary_opening(mask, iterations=max(1, round(diameter / 20)))
        solid = ndimage.binary_fill_holes(opened)
        depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(solid).astype(np.float32), diameter / 16)
        seeds, _ = ndimage.label(h_maxima(depth, self.split * diameter / 2), np.ones((3, 3)))
        return (
            np.unique(watershed(-depth, seeds, mask=solid), return_inverse=True)[1].reshape(mask.shape).astype(np.int32)
        )


def _threshold(image: Image) -> float | None:
    """Otsu's threshold of the log brightness over the background; None where nothing stands out of the noise."""
    background, high, top = np.quantile(image, (BACKGROUND, 0.95, 0.995))
    offset = 0.1 * max(high - background, 0.1 * (top - background))
    if offset <= 0:
        return None
    logs = np.log1p(np.clip(image - background, 0, None) / offset)
    cut = threshold_otsu(logs)
    bright, dark = logs[logs > cut], logs[logs <= cut]
    if bright.mean() - dark.mean() < SEPARATION * dark.std():
        return None
    return float(np.expm1(cut) * offset + background)


def _rounded(labels: Labels, diameter: float) -> Labels:
    """Every object's contour smoothed, which closes the notches that nucleoli near it make; none takes from another."""
    margin = round(diameter / 8) + 1
    result = labels.copy()
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        wide = tuple(slice(max(part.start - margin, 0), part.stop + margin) for part in box)
        own = (labels[wide] == number).astype(np.float32)
        smooth = ndimage.binary_fill_holes(ndimage.gaussian_filter(own, diameter / 12, mode="nearest") > 0.5)
        part = result[wide]
        part[(own > 0) & ~smooth] = 0
        part[smooth & (part == 0)] = number
    return result


def _average(image: NDArray[np.integer], factor: int) -> Image:
    """Mean over blocks of `factor` × `factor` pixels; the border is repeated to fill the last ones."""
    if factor == 1:
        return image.astype(np.float32)
    padded = np.pad(image, [(0, -side % factor) for side in image.shape], mode="edge")
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    return padded.reshape(rows, factor, columns, factor).mean((1, 3), dtype=np.float32)


def _estimate_diameter(mask: NDArray[np.bool_]) -> float:
    """Area-weighted typical diameter of the objects in a mask, in pixels."""
    distance = ndimage.distance_transform_edt(ndimage.binary_fill_holes(mask))
    peaks = (distance == ndimage.maximum_filter(distance, 7)) & (distance > 2)
    if not peaks.any():
        return 8.0
    radii = np.sort(distance[peaks])
    weights = np.cumsum(radii**2)
    return float(2.2 * radii[np.searchsorted(weights, weights[-1] / 2)])
