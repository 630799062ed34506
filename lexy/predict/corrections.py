"""Stage drift and bleaching, taken out of a video on request."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from lexy.errors import UserError
from lexy.images.rings import background
from lexy.io.video import Video

BLUR = 2.0  # px (σ), before frames are laid over each other


class Corrected:
    """A video without drift of the stage, or without bleaching: each frame is corrected as it is read.

    Attributes
    ----------
    shifts : ndarray of int, (T, 2)
        Rows and columns by which each frame is moved back; what is not there repeats the border.
    gains : ndarray of float, (T,)
        What each frame is multiplied by, above its background.
    """

    def __init__(self, video: Video, shifts: NDArray[np.intp] | None, gains: NDArray[np.float64] | None) -> None:
        self.video = video
        self.name, self.n_frames, self.shape = video.name, video.n_frames, video.shape
        self.pixel_size, self.interval = video.pixel_size, video.interval
        self.shifts = np.zeros((video.n_frames, 2), np.intp) if shifts is None else shifts
        self.gains = np.ones(video.n_frames) if gains is None else gains

    def read(self, frame: int) -> NDArray[np.float32]:
        """Read a frame, corrected; see `Video.read`."""
        image = self.video.read(frame)
        if self.gains[frame] != 1:
            dark = background(image)
            image = (dark + (image - dark) * self.gains[frame]).astype(np.float32)
        return shifted(image, self.shifts[frame], mode="nearest")

    def __enter__(self) -> "Corrected":
        return self

    def __exit__(self, *_: object) -> None:
        self.video.__exit__(None, None, None)


def drift(video: Video) -> NDArray[np.intp]:
    """Return how far to shift each frame back onto the first, whole pixels.

    By cross-correlation of neighbouring frames (Guizar-Sicairos et al. 2008), blurred against noise, and summed: it
    takes the stage's movement to be that of most of the image. Not normalised to phases: noise would count like cells.

    Returns
    -------
    ndarray of int, (T, 2)
        Rows and columns; zero for frame 0.

    Raises
    ------
    UserError
        They are more than half the field: nothing that is in the first frame would be left to follow.
    """
    blurred = (ndimage.gaussian_filter(video.read(frame), BLUR) for frame in range(video.n_frames))
    pairs = pairwise(image - image.mean() for image in blurred)
    steps = [phase_cross_correlation(a, b, upsample_factor=10, normalization=None)[0] for a, b in pairs]
    summed = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    shifts: NDArray[np.intp] = summed.round().astype(np.intp)
    far = np.flatnonzero((np.abs(shifts) > np.array(video.shape) / 2).any(axis=1))
    if len(far):
        rows, columns = shifts[far[0]]
        raise UserError(
            f"{video.name}: the drift up to frame {far[0]} seems to be {abs(rows)} rows and {abs(columns)} columns, "
            "more than half the field. Leave out --correct drift: the video is too noisy for it, or moves too far."
        )
    return shifts


def bleaching(video: Video) -> tuple[NDArray[np.float64], float]:
    """Return what to multiply each frame by, so that the light of the whole field stays.

    An exponential: a line through the logarithms of the frames' mean above their background. That is right where the
    protein only moves within cells. N/C is a ratio of two places of one frame, and changes by it only through the
    background.

    Returns
    -------
    gains : ndarray of float, (T,)
        1 for frame 0; all 1 where the light does not decrease.
    half_time : float
        Of bleaching, in frames; infinite where there is none.
    """
    means = []
    for frame in range(video.n_frames):
        image = video.read(frame)
        means.append(float(image.mean() - background(image)))
    time = np.arange(len(means))
    rate = max(0.0, -float(np.polyfit(time, np.log2(means), 1)[0]))
    return np.exp2(rate * time), np.inf if rate == 0 else 1 / rate


def corrected(video: Video, *, drifting: bool, bleached: bool) -> tuple[Video, dict[str, str]]:
    """Return the video without what was to be taken out, and what was found, for the report."""
    found, shifts, gains = {}, None, None
    if drifting:
        shifts = drift(video)
        furthest = np.abs(shifts).max(axis=0)
        found["drift"] = f"moved back by up to {furthest[0]} rows and {furthest[1]} columns"
    if bleached:
        gains, half_time = bleaching(video)
        found["bleaching"] = "none found" if np.isinf(half_time) else f"half of the light in {half_time:.3g} frames"
    return (Corrected(video, shifts, gains) if found else video), found


def shifted(image: NDArray[np.generic], shift: NDArray[np.intp], *, mode: str) -> NDArray[np.float32]:
    """Shift an image by whole rows and columns; `mode` as of `scipy.ndimage.shift`."""
    return ndimage.shift(image, shift, order=0, mode=mode) if shift.any() else image  # type: ignore[return-value]
