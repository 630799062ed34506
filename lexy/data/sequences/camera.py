"""What the microscope adds: focus drift, bleaching, shot and read noise."""

import torch
from torch import Tensor

from lexy.data.sequences.draws import white_noise
from lexy.images.filters import blur


def expose(frames: Tensor, focus: Tensor, photons: Tensor, read: Tensor, keys: Tensor) -> Tensor:
    """Blur frames (B, T, H, W) and add noise; they stay in [0, 1], as a camera has a floor and saturates.

    Parameters
    ----------
    frames : Tensor, float32 (B, T, H, W)
        Light, where 1 saturates the camera.
    focus : Tensor, float32 (B, T)
        Standard deviation of the blur in pixels.
    photons : Tensor, float32 (B,)
        Counted at saturation: the fewer, the more shot noise.
    read : Tensor, float32 (B,)
        Standard deviation of the read noise, share of saturation.
    keys : Tensor, int32 (B,)
        Of the noise.
    """
    frames = blur(frames.flatten(0, 1), focus.flatten()).view_as(frames).clamp(min=0)
    photons, read = (value.view(-1, 1, 1, 1) for value in (photons, read))
    noise = white_noise(keys, *frames.shape[1:])
    return (frames + noise * torch.sqrt(frames / photons + read**2)).clamp(0, 1)
