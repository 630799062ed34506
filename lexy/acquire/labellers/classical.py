"""Segment nuclei without training: threshold and watershed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Gt, Interval
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from lexy.acquire.labellers import class_path

Image = NDArray[np.float32]
Labels = NDArray[np.int32]

WORKING_SIDE = 512  # pixels; larger images are first averaged down by an integer factor
BACKGROUND = 0.05  # quantile of the image that is its background
SEPARATION = 3.5  # standard deviations of the lower class between the classes; 2.7 for pure noise


@dataclass(frozen=True)
class Classical:
    """Log-Otsu threshold and a watershed that splits touching nuclei, both adapted to the brightness of each nucleus.

    No training, no GPU. Lengths scale with the nuclei's diameter.

    Parameters
    ----------
    diameter : float or None
        Typical diameter of a nucleus in pixels of the image, larger than 0; None: estimated for each image.
    brightness : float
        A nucleus ends where it falls below this share of its own upper quartile (0 to 1), so that the halo of bright
        nuclei is left out and dim ones are whole.
    core : float
        Touching nuclei are separated by the regions brighter than this share of their upper quartile (0 to 1).
    split : float
        Depth of the neck that splits a nucleus in two, as a share of the typical radius (0.01 to 1); larger: fewer
        splits.
    min_share : float
        Objects smaller than this share of a typical nucleus' area are dropped (0 to 1).
    """

    diameter: Annotated[float, Gt(0)] | None = None
    brightness: Annotated[float, Interval(ge=0, le=1)] = 0.4
    core: Annotated[float, Interval(ge=0, le=1)] = 0.55
    split: Annotated[float, Interval(ge=0.01, le=1)] = 0.05
    min_share: Annotated[float, Interval(ge=0, le=1)] = 0.15

    def label(self, images: Sequence[NDArray[np.integer]], names: Sequence[str]) -> list[Labels | str]:
        """Label the nuclei of each image, as `Labeller.label` describes."""
        return [self._label(image) for image in images]

    def settings(self) -> dict[str, Any]:
        """Return class and parameters."""
        return {"class": class_path(self), **asdict(self)}

    def _label(self, image: NDArray[np.integer]) -> Labels:
        factor = -(-max(image.shape) // WORKING_SIDE)
        small = _average(image, factor)
        threshold = _threshold(ndimage.gaussian_filter(small, 1))
        if threshold is None:
            return np.zeros(image.shape, np.int32)
        diameter = self.diameter / factor if self.diameter else _estimate_diameter(small > threshold)
        smooth = ndimage.gaussian_filter(small, max(diameter / 24, 0.7))
        objects = self._split(smooth > threshold, diameter)
        cores = self._split(smooth > _own_threshold(smooth, objects, self.core), diameter)
        nuclei = _grow(cores, smooth > _own_threshold(smooth, objects, self.brightness))
        nuclei[smooth <= _own_threshold(smooth, nuclei, self.brightness)] = 0
        areas = np.bincount(nuclei.ravel())
        keep = areas >= self.min_share * np.pi * (diameter / 2) ** 2
        keep[0] = False
        labels = _smooth_contours((np.cumsum(keep) * keep)[nuclei].astype(np.int32), diameter)
        return labels.repeat(factor, 0).repeat(factor, 1)[: image.shape[0], : image.shape[1]]

    def _split(self, mask: NDArray[np.bool_], diameter: float) -> Labels:
        """Return objects with holes filled, split at their necks."""
        opened = ndimage.binary_opening(mask, iterations=max(1, round(diameter / 20)))
        solid = ndimage.binary_fill_holes(opened)
        depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(solid).astype(np.float32), diameter / 16)
        seeds = _seeds(depth, solid, self.split * diameter / 2)
        return watershed(-depth, seeds, mask=solid).astype(np.int32)


def _own_threshold(image: Image, objects: Labels, share: float) -> Image:
    """Return a threshold for each pixel: this share of its object's upper quartile; infinite outside of objects."""
    background = np.quantile(image, BACKGROUND)
    thresholds = np.full(objects.max() + 1, np.inf, np.float32)
    for number, box in enumerate(ndimage.find_objects(objects), start=1):
        level = np.quantile(image[box][objects[box] == number], 0.75)
        thresholds[number] = background + share * (level - background)
    return thresholds[objects]


def _grow(cores: Labels, mask: NDArray[np.bool_]) -> Labels:
    """Grow each core over the part of the mask that is nearer to it than to other cores."""
    return watershed(ndimage.distance_transform_edt(cores == 0), cores, mask=mask | (cores > 0)).astype(np.int32)


def _seeds(depth: Image, solid: NDArray[np.bool_], neck: float) -> Labels:
    """Label the maxima that are separated from a higher one of the same object by at least `neck`."""
    objects, _ = ndimage.label(solid)
    peaks = np.zeros(solid.shape, bool)
    for number, box in enumerate(ndimage.find_objects(objects), start=1):
        own = objects[box] == number
        peaks[box] |= own & (h_maxima(np.where(own, depth[box], 0), neck) > 0)  # it sorts, so a box is faster
    return ndimage.label(peaks, np.ones((3, 3)))[0]


def _threshold(image: Image) -> float | None:
    """Return Otsu's threshold of the log brightness over the background; None if nothing exceeds the noise."""
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


def _smooth_contours(labels: Labels, diameter: float) -> Labels:
    """Smooth the contour of each object, which closes notches of nucleoli; no object takes pixels of another."""
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
    """Average blocks of `factor` × `factor` pixels; repeat the border to fill the last blocks."""
    if factor == 1:
        return image.astype(np.float32)
    padded = np.pad(image, [(0, -side % factor) for side in image.shape], mode="edge")
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    return padded.reshape(rows, factor, columns, factor).mean((1, 3), dtype=np.float32)


def _estimate_diameter(mask: NDArray[np.bool_]) -> float:
    """Estimate the area-weighted typical diameter of the objects in a mask, in pixels."""
    distance = ndimage.distance_transform_edt(ndimage.binary_fill_holes(mask))
    peaks = (distance == ndimage.maximum_filter(distance, 7)) & (distance > 2)
    if not peaks.any():
        return 8.0
    radii = np.sort(distance[peaks])
    weights = np.cumsum(radii**2)
    return float(2.2 * radii[np.searchsorted(weights, weights[-1] / 2)])
