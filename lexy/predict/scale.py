"""Frames as a network was trained to see them: as large, as bright."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lexy.checkpoint import Trained
from lexy.errors import UserError
from lexy.io.video import Video

SMALLEST = 3.0  # px that a nucleus must be wide: smaller ones have no inside
LARGEST_FIELD = 2**27  # px of a resampled frame: as float32, 512 MB
SHIFT = 12  # bits of a float32 that the histogram does not look at: bins are 1/2048 of the value wide
LOW, HIGH = 0.5, 99.8  # percentiles; those of `lexy.data.videos.preparation.ModernPreparation`


@dataclass(frozen=True)
class Scale:
    """How large frames are made for a network.

    Attributes
    ----------
    factor : float
        Pixels of the network for a pixel of the video.
    diameter : float
        Of a nucleus, in pixels of the video.
    """

    factor: float
    diameter: float

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Height and width of a resampled frame."""
        return max(1, round(shape[0] * self.factor)), max(1, round(shape[1] * self.factor))


def scale_of(video: Video, trained: Trained, diameter: float | None = None) -> Scale:
    """The scale that makes nuclei as large as in training.

    Parameters
    ----------
    video : Video
    trained : Trained
    diameter : float, optional
        Of a nucleus in pixels of the video. It goes before the pixel sizes: cells differ.

    Raises
    ------
    UserError
        The scale is not known, or cannot be meant.
    """
    if diameter is not None and not SMALLEST <= diameter <= max(video.shape):
        raise UserError(
            f"--diameter {diameter:g}: nuclei of {video.name} ({video.shape[0]} × {video.shape[1]} px) must be between "
            f"{SMALLEST:g} px wide and as wide as the frame."
        )
    own, known = trained.nucleus_diameter, trained.pixel_size is not None and np.isfinite(video.pixel_size)
    if diameter is not None and own is not None:
        scale = Scale(own / diameter, diameter)
    elif known and (diameter or own):
        factor = video.pixel_size / trained.pixel_size  # type: ignore[operator]  # known says that it is a number
        scale = Scale(factor, diameter or own / factor)  # type: ignore[operator]
    else:
        raise UserError(f"{video.name}: how large its nuclei are is not known. {_advice(video, trained, diameter)}")
    if scale.shape(video.shape)[0] * scale.shape(video.shape)[1] > LARGEST_FIELD or scale.diameter < SMALLEST:
        raise UserError(
            f"{video.name}: nuclei {scale.diameter:.3g} px wide, to be resampled {scale.factor:.3g}-fold, cannot be "
            "meant. Check --diameter, --pixel-size and the pixel size that the file gives."
        )
    return scale


def _advice(video: Video, trained: Trained, diameter: float | None) -> str:
    if trained.nucleus_diameter is None and trained.pixel_size is None:
        return "The checkpoint does not know at what size it was trained: train it again with this version of lexy."
    if diameter is not None:
        return "The checkpoint knows pixel sizes only: give --pixel-size UM as well, the µm of a pixel of the video."
    if trained.pixel_size is None:
        return "Give --diameter PX, the width of a typical nucleus in pixels of the video."
    if np.isfinite(video.pixel_size):
        return "The checkpoint does not say how large nuclei are: give --diameter PX, the width of a typical nucleus."
    return (
        "Give --diameter PX, the width of a typical nucleus in pixels of the video, or --pixel-size UM, the µm of a "
        "pixel."
    )


def resample(images: Tensor, shape: tuple[int, int]) -> Tensor:
    """Images (..., H, W) of another size: bilinear, smoothed before where they shrink."""
    if images.shape[-2:] == shape:
        return images
    flat = images.reshape(-1, 1, *images.shape[-2:])
    resized = functional.interpolate(flat, shape, mode="bilinear", align_corners=False, antialias=True)
    return resized.reshape(*images.shape[:-2], *shape)


@dataclass(frozen=True)
class Brightness:
    """Grey values that become 0 and 1; what lies beyond is cut."""

    low: float
    high: float

    def __call__(self, frame: NDArray[Any]) -> NDArray[np.float32]:
        """A frame in [0, 1]."""
        values = np.asarray(frame, np.float32)
        return ((values - np.float32(self.low)) / np.float32(self.high - self.low)).clip(0, 1)


def brightness_of(video: Video, low: float = LOW, high: float = HIGH) -> Brightness:
    """Percentiles over all frames, in two passes and bounded memory.

    One pair for the whole video: a pair for each frame would make the cytoplasm as bright as the nucleus was, just when
    the protein has left it. Percentiles, not the extremes: a hot pixel or a dead cell would darken everything else; in
    training a crop's own maximum (stills, sequences) or these percentiles (videos) became 1. The histogram's bins are
    the leading bits of what values lie above the darkest one: exact to 0.05 % of that, whatever the camera's offset.

    Parameters
    ----------
    video : Video
    low, high : float
        Percentiles.

    Raises
    ------
    UserError
        Nearly all of the video has one value.
    """
    darkest = min(float(video.read(frame).min()) for frame in range(video.n_frames))
    counts = np.zeros(2 ** (32 - SHIFT), np.int64)
    for frame in range(video.n_frames):
        above = (video.read(frame).ravel().astype(np.float64) - darkest).astype(np.float32)
        counts += np.bincount(_ordered(above) >> SHIFT, minlength=len(counts))
    reached = np.cumsum(counts)
    wanted = [max(1, math.ceil(percent / 100 * int(reached[-1]))) for percent in (low, high)]
    dark, bright = (darkest + _value(index) for index in np.searchsorted(reached, wanted).tolist())
    if not dark < bright:
        raise UserError(f"{video.name} has one value nearly all over ({dark:g}): there is nothing to segment.")
    return Brightness(dark, bright)


def _ordered(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """The bits of floats, changed so that they are in the order of the floats."""
    bits = np.ascontiguousarray(values + np.float32(0)).view(np.uint32)  # −0 becomes 0
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _value(index: int) -> float:
    """The least float of a bin of the histogram."""
    bits = np.array([index << SHIFT], np.uint32)
    return float(np.where(bits >> 31, bits & np.uint32(0x7FFFFFFF), ~bits).view(np.float32)[0])


class Field:
    """A video's frames as a network takes them, read one at a time.

    Parameters
    ----------
    video : Video
    scale : Scale
    brightness : Brightness
    """

    def __init__(self, video: Video, scale: Scale, brightness: Brightness) -> None:
        self.video, self.brightness = video, brightness
        self.n_frames, self.shape = video.n_frames, scale.shape(video.shape)

    def frame(self, frame: int) -> Tensor:
        """Float32 (h, w) in [0, 1]."""
        return resample(torch.from_numpy(self.brightness(self.video.read(frame))), self.shape)

    def mask(self, labels: NDArray[np.integer]) -> Tensor:
        """Labels of the video as a soft mask, float32 (h, w) in [0, 1]."""
        return resample(torch.from_numpy((labels > 0).astype(np.float32)), self.shape).clamp(0, 1)

    def back(self, probability: Tensor) -> NDArray[np.float32]:
        """Probabilities (h, w) at the video's size."""
        return resample(probability, self.video.shape).clamp(0, 1).numpy()
