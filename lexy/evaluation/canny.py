"""The published study's Hausdorff distance: between Canny edges, in pixels, for a whole batch of masks at once.

Canny, J., "A Computational Approach to Edge Detection", IEEE Trans. PAMI 8:679-714, 1986, in the variant of
`skimage.feature.canny(mask, sigma=1)`, whose result is met pixel for pixel. On masks with mirror symmetry the ridge of
the gradient is two pixels wide with equal values, so that the last bit of every sum decides: all arithmetic is float64
and in the order of scikit-image and SciPy.

Only the neighbourhood of the masks' outlines is ever computed: elsewhere the gradient is nil. That is work on short
lists of pixels, which NumPy does faster than torch, a few images at a time so that everything stays in the cache.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lexy.evaluation.point_distances import directed_distances, points_by_image

RADIUS = 4  # SciPy truncates the Gaussian at 4 sigma
# Gradients reach the low threshold only within 3 px of an outline (0.035 at most beyond), and their neighbours count.
BAND = 4
LOW, HIGH = float(np.float32(0.1)), 0.2  # scikit-image holds the low one in single precision
PIXELS_AT_ONCE = 2**17


def canny_edges(masks: Tensor) -> Tensor:
    """Find the Canny edges (sigma 1, default thresholds) of binary masks, equal to scikit-image's.

    Parameters
    ----------
    masks : Tensor
        (N, H, W) bool.

    Returns
    -------
    Tensor
        (N, H, W) bool on the masks' device; never True on an image's border pixels.
    """
    edges = np.zeros(masks.numel(), dtype=bool)
    edges[_edge_indices(masks)] = True
    return torch.from_numpy(edges).view(masks.shape).to(masks.device)


def published_hausdorff(predicted: Tensor, truth: Tensor) -> NDArray[Any]:
    """Compute the Hausdorff distance between the Canny edges of two masks, as the published study measured it.

    Parameters
    ----------
    predicted, truth : Tensor
        (N, H, W) bool.

    Returns
    -------
    np.ndarray
        (N,) float64, pixels: 0 where neither mask has an edge, inf where one has none
        (as `skimage.metrics.hausdorff_distance`).
    """
    shape = (len(predicted), predicted.shape[1], predicted.shape[2])
    edges = [points_by_image(_edge_indices(masks), shape) for masks in (predicted, truth)]
    return np.array([_hausdorff(*pair) for pair in zip(*edges, strict=True)], dtype=np.float64)


def _hausdorff(first: NDArray[Any], second: NDArray[Any]) -> float:
    if len(first) == 0 or len(second) == 0:
        return 0.0 if len(first) == len(second) else np.inf
    return float(max(distances.max() for distances in directed_distances(first, second)))


def _edge_indices(masks: Tensor) -> NDArray[Any]:
    """Sorted flat indices of the Canny edges of (N, H, W) masks."""
    array = masks.cpu().numpy()
    count, height, width = array.shape
    step = min(count, max(1, PIXELS_AT_ONCE // max(1, height * width)))
    detector = _Detector(step, height, width)
    found = [detector.edges(array[i : i + step]) + i * height * width for i in range(0, count, max(1, step))]
    return np.concatenate(found) if found else np.empty(0, dtype=np.intp)


class _Detector:
    """Canny for a few images of one shape, in buffers that are allocated once: fresh memory costs more than the sums.

    Images lie one after the other in flat arrays, each with `BAND` pixels of padding, so that a shift is an addition.
    """

    def __init__(self, count: int, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.rows, self.row = (
            height + 2 * BAND,
            width + 2 * BAND,
        )  # `row` is also the step from a pixel to the one below
        shape = (count, self.rows, self.row)
        self.padded = np.zeros(shape, dtype=bool)
        self.state = np.zeros(shape, dtype=np.intp)
        self.columns = np.zeros(shape)
        self.image = np.zeros(shape)
        self.constants = _constants(height, width)

    def edges(self, masks: NDArray[Any]) -> NDArray[Any]:
        """Sorted flat indices, into `masks`, of their edges; the last images may be fewer than the others."""
        row, magnitude = self.row, self.image.reshape(-1)
        self.padded[: len(masks), BAND:-BAND, BAND:-BAND] = masks
        self.padded[len(masks) :] = False
        band = _band(self.padded)
        self._smooth(band)
        down, right = self._sobel(band)
        size = np.sqrt(down * down + right * right)
        magnitude.fill(0)
        magnitude[band] = size

        kept = np.flatnonzero(size >= LOW)
        place, down, right, size = (values.take(kept) for values in (band, down, right, size))
        image, position = np.divmod(place, self.rows * row)
        y, x = np.divmod(position, row)
        y -= BAND
        x -= BAND
        ridge = (x > 0) & (x < self.width - 1) & (y > 0) & (y < self.height - 1)
        # Non-maximum suppression: the values on both sides, across the edge, interpolated between two neighbours.
        side = np.where((down > 0) == (right > 0), 1, -1)
        vertical, horizontal = abs(down), abs(right)
        nearest, diagonal = np.where(vertical > horizontal, row, side), row + side
        weight = np.minimum(vertical, horizontal) / np.maximum(vertical, horizontal)
        rest = 1.0 - weight
        for sign in (1, -1):
            far, near = magnitude.take(place + sign * diagonal), magnitude.take(place + sign * nearest)
            ridge &= far * weight + near * rest <= size

        kept = _hysteresis(place, ridge, size, self.padded)
        found: NDArray[Any] = (image[kept] * self.height + y[kept]) * self.width + x[kept]
        return found

    def _smooth(self, band: NDArray[Any]) -> None:
        """Write the Gaussian of the masks to `image`, the images' border pixels repeated outwards once.

        A column of nine binary pixels has 512 states, so the first of the two one-dimensional passes is a table. Off
        the band a pixel sees only zeros or only ones.
        """
        kernel, table, share, full = self.constants
        self.state.reshape(-1)[:] = _columns(self.padded.reshape(-1), self.row)
        np.take(table, self.state, out=self.columns, mode="clip")
        columns, leftmost = self.columns.reshape(-1), band - RADIUS
        values = columns.take(band) * kernel[RADIUS]
        for j in range(RADIUS):
            left, right = (columns[k:].take(leftmost) for k in (j, 2 * RADIUS - j))
            values += (left + right) * kernel[j]
        values /= share.take(band % share.size)
        image = np.multiply(self.padded, full, out=self.image)
        image.reshape(-1)[band] = values
        first, last = BAND, -BAND - 1
        image[:, first - 1], image[:, last + 1] = image[:, first], image[:, last]
        image[:, :, first - 1], image[:, :, last + 1] = image[:, :, first], image[:, :, last]

    def _sobel(self, band: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Gradient of `image` along rows and columns, on the band."""
        smoothed, corner = self.image.reshape(-1), band - self.row - 1
        above, here, below = ([smoothed[y * self.row + x :].take(corner) for x in range(3)] for y in range(3))
        down = 2 * (below[1] - above[1]) + ((below[0] - above[0]) + (below[2] - above[2]))
        right = 2 * (here[2] - here[0]) + ((above[2] - above[0]) + (below[2] - below[0]))
        return down, right


def _hysteresis(place: NDArray[Any], ridge: NDArray[Any], size: NDArray[Any], padded: NDArray[Any]) -> NDArray[Any]:
    """Tell which points on a ridge are strong, or weak and 8-connected to strong ones."""
    weak = place[ridge & (size < HIGH)]
    if len(weak) == 0:
        return ridge
    edges = np.zeros(padded.size, dtype=bool)
    edges[place[ridge & (size >= HIGH)]] = True
    around = np.array([dy * padded.shape[2] + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    while len(weak):
        joined = edges[weak[:, None] + around].any(axis=1)
        if not joined.any():
            break
        edges[weak[joined]] = True
        weak = weak[~joined]
    kept: NDArray[Any] = edges[place]
    return kept


def _band(padded: NDArray[Any]) -> NDArray[Any]:
    """Sorted flat indices of the pixels (inside the images) within `BAND` of a change in the mask."""
    row = padded.shape[2]
    flat = padded.reshape(-1)
    band = np.zeros_like(flat)
    band[:-row] = (flat[:-row] ^ flat[row:]) | (flat[:-row] ^ flat[1 : 1 - row])
    for step in (1, row):
        for reach in (1, 1, 2):  # adds up to BAND; the padding takes up what runs over a row's end
            wider = band.copy()
            wider[reach * step :] |= band[: -reach * step]
            wider[: -reach * step] |= band[reach * step :]
            band = wider
    inside = band.reshape(padded.shape)
    inside[:, :BAND] = inside[:, -BAND:] = False
    inside[:, :, :BAND] = inside[:, :, -BAND:] = False
    return np.flatnonzero(band)


def _columns(flat: NDArray[Any], row: int) -> NDArray[Any]:
    """Per pixel the mask in the nine pixels of its column around it, as the bits of an integer (lowest: topmost)."""
    bits = flat.astype(np.int16)
    code = bits
    for width in (1, 2, 4):
        code = code.copy()
        code[: -width * row] |= code[width * row :] << width
    code[: -8 * row] |= bits[8 * row :] << 8
    return np.concatenate([np.zeros(RADIUS * row, dtype=np.int16), code[: -RADIUS * row]])


class _Constants(NamedTuple):
    """What depends only on the images' shape."""

    kernel: list[float]  # nine Gaussian weights
    table: NDArray[Any]  # (512,) the weighted sum of each state of a column
    share: NDArray[Any]  # per padded pixel (flat) the weight that lies inside the image
    full: NDArray[Any]  # (rows, columns) of the padded image: a full mask, smoothed


@lru_cache(maxsize=8)
def _constants(height: int, width: int) -> _Constants:
    taps = np.exp(-0.5 * np.arange(-RADIUS, RADIUS + 1) ** 2)
    kernel = taps / taps.sum()
    states = (np.arange(512)[:, None] >> np.arange(2 * RADIUS + 1)) & 1
    table = np.concatenate([_correlate(state.astype(float), kernel) for state in states])
    column = _correlate(np.pad(np.ones(height), RADIUS), kernel)
    full = np.stack([_correlate(np.pad(np.full(width, value), RADIUS), kernel) for value in column])
    share = full + np.finfo(float).eps
    return _Constants(
        kernel.tolist(), table, np.pad(share, BAND, constant_values=1).ravel(), np.pad(full / share, BAND)
    )


def _correlate(line: NDArray[Any], kernel: NDArray[Any]) -> NDArray[Any]:
    """Correlate with a symmetric kernel, summing in SciPy's order: centre, then pairs from the outermost inwards."""
    length = len(line) - 2 * RADIUS
    total: NDArray[Any] = line[RADIUS : RADIUS + length] * kernel[RADIUS]
    for j in range(RADIUS):
        mirrored = 2 * RADIUS - j
        total = total + (line[j : j + length] + line[mirrored : mirrored + length]) * kernel[j]
    return total
