"""Frames as a network was trained to see them: as large, as bright."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lexy.checkpoint import Trained
from lexy.errors import UserError
from lexy.images.intensity import RoundedPercentiles, Scaling, from_settings
from lexy.io.video import Video

SMALLEST = 3.0  # px that a nucleus must be wide: smaller ones have no inside
LARGEST_FIELD = 2**27  # px of a resampled frame: as float32, 512 MB


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
        """Return height and width of a resampled frame."""
        return max(1, round(shape[0] * self.factor)), max(1, round(shape[1] * self.factor))


def scale_of(video: Video, trained: Trained, diameter: float | None = None) -> Scale:
    """Return the scale that makes nuclei as large as in training.

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
    """Resample images (..., H, W) to another size: bilinear, smoothed before where they shrink."""
    if images.shape[-2:] == shape:
        return images
    flat = images.reshape(-1, 1, *images.shape[-2:])
    resized = functional.interpolate(flat, shape, mode="bilinear", align_corners=False, antialias=True)
    return resized.reshape(*images.shape[:-2], *shape)


def scaling_of(video: Video, trained: Trained) -> Scaling:
    """Return the function that scales the video's frames as those of training were.

    Where the checkpoint does not say how, by the percentiles of the whole video that were used before it did.

    Raises
    ------
    UserError
        The video shows nothing, or the checkpoint names an intensity that is not known.
    """
    intensity = RoundedPercentiles() if trained.intensity is None else from_settings(trained.intensity)
    return intensity.scaling(lambda: map(video.read, range(video.n_frames)), video.name)


class Field:
    """A video's frames as a network takes them, read one at a time.

    Parameters
    ----------
    video : Video
    scale : Scale
    scaling : callable
        See `scaling_of`.
    """

    def __init__(self, video: Video, scale: Scale, scaling: Scaling) -> None:
        self.video, self.scaling = video, scaling
        self.n_frames, self.shape = video.n_frames, scale.shape(video.shape)

    def frame(self, frame: int) -> Tensor:
        """Return a frame, float32 (h, w), scaled and resampled."""
        return resample(torch.from_numpy(self.scaling(self.video.read(frame))), self.shape)

    def mask(self, labels: NDArray[np.integer[Any]]) -> Tensor:
        """Return labels of the video as a soft mask, float32 (h, w) in [0, 1]."""
        return resample(torch.from_numpy((labels > 0).astype(np.float32)), self.shape).clamp(0, 1)

    def back(self, probability: Tensor) -> NDArray[np.float32]:
        """Resample probabilities (h, w) to the video's size."""
        return resample(probability, self.video.shape).clamp(0, 1).numpy()
