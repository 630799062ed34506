"""Augmentation of whole batches of clips on the device that trains."""

import math
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Interval
from torch import Generator, Tensor
from torch.nn import functional

from lexy.clip import Clip
from lexy.images.filters import blur
from lexy.randomness import generator

Probability = Annotated[float, Interval(ge=0, le=1)]
NotNegative = Annotated[float, Ge(0)]


class Augmentation:
    """Flips, quarter turns and an affine in one resampling; then blur, gain, gamma and noise.

    One draw for each clip, the same for all of its frames. Everything geometric acts on frames and masks alike, about
    the image centre; outside is 0. The mask is resampled bilinearly and cut at 0.5.

    Parameters
    ----------
    flip : float
        Probability of each of the two flips.
    quarter_turns : {'none', 'clip', 'run'}
        A multiple of 90° drawn for each clip, or once for the whole run as the study did.
    rotation : float
        Largest angle of a further rotation, degrees.
    log_scale : float
        Standard deviation of the logarithm of the scale.
    shear : float
        Largest shear, degrees.
    shift : float
        Largest shift, as a share of the image's height and width.
    gain, gamma : float
        Standard deviation of the logarithm of a factor on, and of an exponent of, the intensity.
    noise : float
        Largest standard deviation of additive Gaussian noise.
    blur : float
        Largest standard deviation of a Gaussian blur of the frames, pixels; drawn for half of the clips.
    """

    def __init__(
        self,
        flip: Probability = 0.5,
        quarter_turns: Literal["none", "clip", "run"] = "clip",
        rotation: Annotated[float, Interval(ge=0, le=180)] = 0.0,
        log_scale: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        shear: Annotated[float, Interval(ge=0, lt=45)] = 0.0,
        shift: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        gain: NotNegative = 0.0,
        gamma: NotNegative = 0.0,
        noise: NotNegative = 0.0,
        blur: Annotated[float, Interval(ge=0, le=8)] = 0.0,
    ) -> None:
        self.flip, self.quarter_turns = flip, quarter_turns
        self.rotation, self.log_scale, self.shear, self.shift = rotation, log_scale, shear, shift
        self.gain, self.gamma, self.noise, self.blur = gain, gamma, noise, blur

    def __call__(self, clip: Clip, key: tuple[int, ...]) -> Clip:
        """Augment a batch.

        Parameters
        ----------
        clip : Clip
        key : tuple of int
            What the draw is a function of; its first number is the seed of the run.

        Returns
        -------
        Clip
            With new frames, masks, instances and known pixels; the given one is left as it is.

        Raises
        ------
        ValueError
            Quarter turns are asked for and the frames are not square.
        """
        frames, masks = clip["frames"], clip["masks"]
        draw = generator("augmentation", *key)
        matrix = self.matrices(len(frames), draw, key[0], (frames.shape[-2], frames.shape[-1]))
        frames, masks = warp(frames, masks, matrix)
        augmented: Clip = {**clip, "frames": self._intensity(frames, draw), "masks": masks}
        if "instances" in clip:
            augmented["instances"] = warp_labels(clip["instances"], matrix)
        if "known" in clip:  # what comes in from outside is not known
            augmented["known"] = warp_labels(clip["known"].squeeze(2), matrix)[:, :, None]
        return augmented

    def matrices(self, count: int, draw: Generator, seed: int, size: tuple[int, int]) -> Tensor:
        """Draw the maps from output to input positions, in pixels about the image centre: float32 (count, 2, 3)."""
        height, width = size
        if self.quarter_turns != "none" and height != width:
            raise ValueError(
                f"augmentation.quarter_turns={self.quarter_turns!r} needs square frames, these are {height} × {width}: "
                "set augmentation.quarter_turns=none."
            )
        turns = torch.randint(4, (count,), generator=draw)
        if self.quarter_turns != "clip":
            turns = torch.randint(4, (1,), generator=generator("quarter turn of a run", seed)).expand(count)
        turns = turns * (self.quarter_turns != "none")
        flips = 1 - 2 * (torch.rand(count, 2, generator=draw) < self.flip).float()
        angle = _symmetric(count, draw) * math.radians(self.rotation) + turns * (math.pi / 2)
        slope = torch.tan(_symmetric(count, draw) * math.radians(self.shear))
        scale = torch.exp(torch.randn(count, generator=draw) * self.log_scale)
        offset = torch.stack([_symmetric(count, draw) * width, _symmetric(count, draw) * height], dim=1) * self.shift
        # Quarter turns by cos and sin would leave rounding errors of 1e-8: harmless in the resampling below.
        cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
        linear = torch.stack([cos, slope * cos - sin, sin, slope * sin + cos], dim=1).view(count, 2, 2)
        return torch.cat([linear * flips[:, None, :], offset[:, :, None]], dim=2)

    def _intensity(self, frames: Tensor, draw: Generator) -> Tensor:
        count = len(frames)
        per_clip = (count, 1, 1, 1, 1)
        sigma = torch.rand(count, generator=draw) * self.blur
        gain = torch.exp(torch.randn(count, generator=draw) * self.gain)
        gamma = torch.exp(torch.randn(count, generator=draw) * self.gamma)
        noise = torch.rand(count, generator=draw) * self.noise
        noise_key = int(torch.randint(2**31, (1,), generator=draw))
        device = frames.device
        if self.blur:
            frames = _blurred(frames, sigma * (torch.rand(count, generator=draw) < 0.5))
        if self.gamma:
            frames = frames.clamp(min=0) ** gamma.to(device).view(per_clip)
        if self.gain:
            frames = frames * gain.to(device).view(per_clip)
        if self.noise:
            white = torch.randn(
                frames.shape, generator=generator("augmentation noise", noise_key, device=device), device=device
            )
            frames = frames + white * noise.to(device).view(per_clip)
        return frames


def warp(frames: Tensor, masks: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Resample frames and masks by one affine per clip, bilinearly, 0 outside; masks are cut at 0.5.

    Parameters
    ----------
    frames, masks : Tensor, float (B, T, 1, H, W)
    matrix : Tensor, float (B, 2, 3)
        Map (x, y, 1) of an output position to its input position, pixels about the image centre.

    Returns
    -------
    tuple of Tensor
        Frames and masks, as they came.
    """
    time, grid = frames.shape[1], _sampling_grid(matrix, frames)
    both = torch.cat([frames, masks], dim=1).squeeze(2)
    both = functional.grid_sample(both, grid, mode="bilinear", padding_mode="zeros", align_corners=False).unsqueeze(2)
    return both[:, :time], (both[:, time:] >= 0.5).to(masks.dtype)


def warp_labels(labels: Tensor, matrix: Tensor) -> Tensor:
    """Resample whole numbers, or truth values, (B, T, H, W) by one affine per clip: the nearest, 0 outside.

    Whole numbers are exact up to 2²⁴.
    """
    values, grid = labels.float(), _sampling_grid(matrix, labels.float())
    nearest = functional.grid_sample(values, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return nearest.to(labels.dtype)


def _sampling_grid(matrix: Tensor, images: Tensor) -> Tensor:
    """Return the grid (B, H, W, 2) of an affine for images (B, ..., H, W), in their type."""
    height, width = images.shape[-2:]
    half = torch.tensor([width / 2, height / 2])  # affine_grid counts in half image sizes
    linear = matrix[:, :, :2] * half[None, None, :] / half[None, :, None]
    theta = torch.cat([linear, matrix[:, :, 2:] / half[None, :, None]], dim=2).to(images)
    return functional.affine_grid(theta, [len(images), 1, height, width], align_corners=False)


def _symmetric(count: int, draw: Generator) -> Tensor:
    return 2 * torch.rand(count, generator=draw) - 1


def _blurred(frames: Tensor, sigma: Tensor) -> Tensor:
    chosen = sigma > 0
    if not chosen.any():
        return frames
    radius = math.ceil(3 * float(sigma.max()))
    sigma, chosen = sigma[chosen].to(frames.device), chosen.to(frames.device)
    frames = frames.clone()
    frames[chosen] = blur(frames[chosen], sigma, border="mirror", radius=radius)
    return frames
