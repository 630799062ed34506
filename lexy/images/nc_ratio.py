"""How bright a nucleus is beside the cytoplasm around it: N/C ratio, contrast, and how sure a mask is of it."""

import math

import torch
from torch import Tensor

from lexy.images.filters import dilate_box, dilate_disc, ring
from lexy.images.rings import BACKGROUND_PERCENTILE, INNER, OUTER


def nuclear_ratio(
    images: Tensor,
    masks: Tensor,
    inner: float = INNER,
    outer: float = OUTER,
    background_percentile: float = BACKGROUND_PERCENTILE,
) -> Tensor:
    """Return the nuclear over the cytoplasmic intensity (N/C) of each frame, both above the background.

    The cytoplasm is taken from a ring around the mask, the background from the frame's darkest pixels.

    Parameters
    ----------
    images : Tensor
        (N, H, W) float, intensities of any scale.
    masks : Tensor
        (N, H, W) bool: all nuclei of the frame.
    inner, outer : float
        The ring's Euclidean distances to the mask in pixels: more than `inner`, at most `outer`.
    background_percentile : float
        Percentile of the frame's intensities, in [0, 100], that counts as background.

    Returns
    -------
    Tensor
        (N,) float64, on the images' device. NaN where the mask or its ring is empty, or the ring is not brighter than
        the background.
    """
    nucleus, cytoplasm = _nucleus_and_ring(images, masks, inner, outer, background_percentile)
    return torch.where(cytoplasm > 0, nucleus / cytoplasm, torch.nan)


def contrast(
    images: Tensor,
    masks: Tensor,
    inner: float = INNER,
    outer: float = OUTER,
    background_percentile: float = BACKGROUND_PERCENTILE,
) -> Tensor:
    """Return the difference of nucleus and ring over their sum, both above the background.

    Parameters
    ----------
    images, masks, inner, outer, background_percentile
        As for `nuclear_ratio`.

    Returns
    -------
    Tensor
        (N,) float64, on the images' device: 0 where the nucleus cannot be told from the cytoplasm by its brightness,
        negative where it is darker. NaN where the mask or its ring is empty, or the sum is not positive.
    """
    nucleus, cytoplasm = _nucleus_and_ring(images, masks, inner, outer, background_percentile)
    total = nucleus + cytoplasm
    return torch.where(total > 0, (nucleus - cytoplasm) / total, torch.nan)


def mask_contrast(frames: Tensor, masks: Tensor, inner: int = int(INNER), outer: int = int(OUTER)) -> Tensor:
    """Return how far a soft mask is from its surroundings in brightness, without knowing the truth.

    Parameters
    ----------
    frames, masks : Tensor, float (B, 1, H, W)
        Masks in [0, 1].
    inner, outer : int
        The surroundings are what a box of 2 · outer + 1 pixels adds to the mask, but not one of 2 · inner + 1.

    Returns
    -------
    Tensor, float (B,)
        |nucleus − ring| / (nucleus + ring), means above the frame's darkest pixel; 0 where mask or ring is empty.
    """
    frames, masks = frames.float(), masks.float()
    frames = frames - frames.amin(dim=(2, 3), keepdim=True)
    around = ring(masks, inner, outer, dilate_box)
    nucleus_mean, ring_mean = ((frames * weight).sum((1, 2, 3)) / _mass(weight) for weight in (masks, around))
    difference = (nucleus_mean - ring_mean).abs() / (nucleus_mean + ring_mean).clamp(min=1e-6)
    return difference * ((masks.sum((1, 2, 3)) > 0.5) & (around.sum((1, 2, 3)) > 0.5))


def start_score(frames: Tensor, probability: Tensor) -> Tensor:
    """Return how far each frame can be relied on to start from.

    Parameters
    ----------
    frames, probability : Tensor, float (B, 1, H, W)
        What a frame network sees, and what it makes of it, in [0, 1].

    Returns
    -------
    Tensor, float (B,)
        Product of contrast (`mask_contrast`) and mean of 2 |p − 0.5| over the mask, in [0, 1]; 0 where no pixel
        reaches 0.5.
    """
    decided = (probability * (2 * probability - 1).abs()).sum((1, 2, 3)) / probability.sum((1, 2, 3)).clamp(min=1e-6)
    return decided * mask_contrast(frames, probability) * (probability >= 0.5).any(-1).any(-1).any(-1)


def _nucleus_and_ring(
    images: Tensor, masks: Tensor, inner: float, outer: float, background_percentile: float
) -> tuple[Tensor, Tensor]:
    """Return mean intensities, (N,) float64 each, above the background; NaN where there are no pixels."""
    images = images.double()
    around = ring(masks, inner, outer, dilate_disc)
    background = _percentile(images.flatten(1), background_percentile)
    nucleus_mean, ring_mean = (
        torch.where(pixels, images, 0.0).sum((1, 2)) / pixels.sum((1, 2)) - background for pixels in (masks, around)
    )
    return nucleus_mean, ring_mean


def _mass(weight: Tensor) -> Tensor:
    return weight.sum((1, 2, 3)).clamp(min=torch.finfo(weight.dtype).tiny)


def _percentile(values: Tensor, percent: float) -> Tensor:
    """Interpolate a percentile of each row linearly; `torch.quantile` takes no more than 16 million values."""
    position = (values.shape[1] - 1) * percent / 100
    below = math.floor(position)
    lowest = values.topk(min(below + 2, values.shape[1]), dim=1, largest=False).values
    return torch.lerp(lowest[:, below], lowest[:, -1], position - below)
