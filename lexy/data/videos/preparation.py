"""From a recording as it lies in its files to frames and masks that networks take."""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Annotated, Any, Protocol

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.measure import label, regionprops
from skimage.registration import phase_cross_correlation
from skimage.transform import resize

from lexy.data.videos.recording import Recording
from lexy.errors import UserError
from lexy.images.intensity import FrameMinMax, Intensity, VideoPercentiles

Images = NDArray[np.float32]
Percent = Annotated[float, Ge(0), Le(100)]
Size = Annotated[int, Ge(16)]
Point = NDArray[np.float64]
BLUR, FOCUS = 1 / 32, 0.2  # standard deviations, in sides of the window, of what helps to follow a cell


@dataclass(frozen=True)
class Prepared:
    """A recording ready for a network.

    Attributes
    ----------
    frames : ndarray of float32, (T, size, size)
        In [0, 1]; the published preparation may exceed 1.
    masks : ndarray of bool, (T, size, size)
    pixel_size : float
        µm after resizing; NaN if unknown.
    """

    frames: Images
    masks: NDArray[np.bool_]
    pixel_size: float


class Preparation(Protocol):
    """Cuts, scales and resizes a recording; a function of it alone.

    Attributes
    ----------
    intensity : Intensity
        How frames are scaled, before they are cut and resized.
    """

    @property
    def intensity(self) -> Intensity:
        """How frames are scaled, before they are cut and resized."""

    def __call__(self, recording: Recording) -> Prepared:
        """Prepare one recording; raise UserError where it cannot be."""

    def settings(self) -> dict[str, Any]:
        """Return everything that decides what comes out, as plain values."""


class PublishedPreparation:
    """As in the published study: each frame by itself.

    Masks that are inverted, or inverted inside a one-pixel frame, are put right. Frames are scaled by
    `lexy.images.intensity.FrameMinMax`. Central crop, resized by nearest neighbour. The study cropped at random for
    training; here augmentation shifts instead.

    Parameters
    ----------
    crop : int or None
        Side of the central crop in pixels of the video; None takes the largest square.
    size : int
        Side of the result, pixels.
    background : float
        Mean of the background after scaling.
    """

    def __init__(self, crop: Size | None = 512, size: Size = 128, background: Annotated[float, Gt(0)] = 0.01) -> None:
        self.crop, self.size, self.intensity = crop, size, FrameMinMax(background)

    def __call__(self, recording: Recording) -> Prepared:
        """Prepare one recording."""
        height, width = recording.frames.shape[1:]
        side = min(height, width) if self.crop is None else self.crop
        if side > min(height, width):
            raise UserError(
                f"video {recording.name} is {height} × {width} px, smaller than data.preparation.crop={side}: give a "
                "smaller one, or null for the whole frame."
            )
        top, left = (height - side) // 2, (width - side) // 2
        part = np.s_[top : top + side, left : left + side]
        shape = (self.size, self.size)
        scaled = self.intensity.scaling(lambda: recording.frames, f"video {recording.name}")
        frames = [resize(scaled(image)[part], shape, order=0, anti_aliasing=False) for image in recording.frames]
        masks = [resize(_mended(mask)[part], shape, order=0, anti_aliasing=False) for mask in recording.masks]
        return Prepared(np.stack(frames), np.stack(masks), recording.pixel_size * side / self.size)

    def settings(self) -> dict[str, Any]:
        """Return everything that decides what comes out, as plain values."""
        return {"kind": "published", "crop": self.crop, "size": self.size, **asdict(self.intensity)}


class ModernPreparation:
    """Scaled once for each video, resampled without aliasing, in a window that may follow the cell.

    The window lies about the middlemost nucleus of the first mask and moves with the image: by the peak of the
    cross-correlation of neighbouring frames within it (Guizar-Sicairos et al. 2008), blurred, and weighted towards its
    middle. No other mask is looked at, which would tell the network where the nucleus is. At the border of the video
    the window stops.

    Parameters
    ----------
    window : int or None
        Side of the window in pixels of the video; None takes the largest central square, which stays where it is.
    size : int
        Side of the result, pixels.
    low, high : float
        Percentiles of the whole video that become 0 and 1; what lies beyond is cut.
    reach : float
        Farthest that the window moves from frame to frame in each direction, as a share of its side.
    """

    def __init__(
        self,
        window: Size | None = None,
        size: Size = 64,
        low: Percent = 0.5,
        high: Percent = 99.8,
        reach: Annotated[float, Gt(0), Le(1)] = 0.06,
    ) -> None:
        if not low < high:
            raise UserError(f"data.preparation: low={low} must be less than high={high}.")
        self.window, self.size, self.reach, self.intensity = window, size, reach, VideoPercentiles(low, high)

    def __call__(self, recording: Recording) -> Prepared:
        """Prepare one recording."""
        scaling = self.intensity.scaling(lambda: recording.frames, f"video {recording.name}")
        scaled = np.stack([scaling(frame) for frame in recording.frames])
        height, width = scaled.shape[1:]
        side = min(height, width) if self.window is None else self.window
        if side > min(height, width):
            raise UserError(
                f"video {recording.name} is {height} × {width} px, smaller than data.preparation.window={side}: give a "
                "smaller one, or null for the whole frame."
            )
        corners = self._corners(scaled, recording, side)
        shape, parts = (self.size, self.size), [np.s_[y : y + side, x : x + side] for y, x in corners]
        frames = [
            resize(frame[part], shape, order=1, anti_aliasing=True) for frame, part in zip(scaled, parts, strict=True)
        ]
        shares = _area_shares(side, self.size)
        masks = [shares @ mask[part] @ shares.T > 0.5 for mask, part in zip(recording.masks, parts, strict=True)]
        return Prepared(np.stack(frames), np.stack(masks), recording.pixel_size * side / self.size)

    def settings(self) -> dict[str, Any]:
        """Return everything that decides what comes out, as plain values."""
        numbers = {"window": self.window, "size": self.size, "reach": self.reach}
        return {"kind": "modern", **numbers, **asdict(self.intensity)}

    def _corners(self, frames: Images, recording: Recording, side: int) -> list[tuple[int, int]]:
        """Return the top left corner of the window in each frame."""
        room = np.array(frames.shape[1:]) - side
        if self.window is None:
            return [tuple(room // 2)] * len(frames)
        known = int(np.argmax(recording.labelled))
        start = np.clip(_middlemost(recording.masks[known]) - side / 2, 0, room)
        after = self._followed(frames[known:], start, side)
        before = self._followed(frames[known::-1], start, side)
        return [tuple(corner.round().astype(int)) for corner in [*before[:0:-1], *after]]

    def _followed(self, frames: Images, corner: Point, side: int) -> list[Point]:
        """Follow the window from a first corner on; return the corner in each frame."""
        room, farthest, weight = np.array(frames.shape[1:]) - side, self.reach * side, _middle_weight(side)
        corners = [corner]
        for before, now in pairwise(gaussian_filter(frames, (0, side * BLUR, side * BLUR))):
            # Normalised to phases alone, as is the default, noise drowns the cell: the window stands still or leaps.
            shift, _, _ = phase_cross_correlation(
                _middle(before, corner, weight), _middle(now, corner, weight), upsample_factor=4, normalization=None
            )
            # The shift brings `now` onto `before`: the cell moved the other way.
            corner = np.clip(corner - shift.clip(-farthest, farthest), 0, room)
            corners.append(corner)
        return corners


def _mended(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Undo the inversion of a mask, as a whole or inside a one-pixel frame.

    It is inverted if its corner is set and so are most pixels. The study asked for the corner alone, which a nucleus
    that lies there sets as well.
    """
    mask = ~mask if mask[0, 0] and mask.mean() > 0.5 else mask.copy()
    inside = mask[1:-1, 1:-1]
    if inside[0, 0] and inside.mean() > 0.5:
        mask[1:-1, 1:-1] = ~inside
    return mask


def _middlemost(mask: NDArray[np.bool_]) -> Point:
    """Return the centroid (row, column) of the nucleus nearest to the middle; the middle itself without any."""
    middle = (np.array(mask.shape) - 1) / 2
    centroids = [np.array(region.centroid) for region in regionprops(label(mask))]
    return min(centroids, key=lambda centroid: float(np.hypot(*(centroid - middle))), default=middle)


def _middle_weight(side: int) -> NDArray[np.float64]:
    """Return a Gaussian bell over a window, (side, side)."""
    bell = np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / (side * FOCUS)) ** 2)
    return np.outer(bell, bell)


def _middle(frame: Images, corner: Point, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a window of a frame with its middle weighted, of mean 0."""
    (y, x), side = corner.round().astype(int), len(weight)
    part = frame[y : y + side, x : x + side]
    centred: NDArray[np.float64] = part - np.average(part, weights=weight)
    return weight * centred


def _area_shares(side: int, size: int) -> NDArray[np.float64]:
    """Return what share of each of `size` equal parts of an axis each of its `side` pixels covers: (size, side)."""
    ends, pixels = np.linspace(0, side, size + 1)[:, None], np.arange(side)
    covered = np.minimum(ends[1:], pixels + 1) - np.maximum(ends[:-1], pixels)
    shares: NDArray[np.float64] = covered.clip(0) * size / side
    return shares
