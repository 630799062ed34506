"""How bright the nucleus is beside the cytoplasm around it: N/C ratio and contrast of a frame."""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad


def nuclear_ratio(
    images: Tensor, masks: Tensor, inner: float = 2.0, outer: float = 6.0, background_percentile: float = 1.0
) -> Tensor:
    """Nuclear over cytoplasmic intensity (N/C) of each frame, both above the background.

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
    nucleus, ring = _nucleus_and_ring(images, masks, inner, outer, background_percentile)
    return torch.where(ring > 0, nucleus / ring, torch.nan)


def contrast(
    images: Tensor, masks: Tensor, inner: float = 2.0, outer: float = 6.0, background_percentile: float = 1.0
) -> Tensor:
    """Difference of nucleus and ring over their sum, both above the background.

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
    nucleus, ring = _nucleus_and_ring(images, masks, inner, outer, background_percentile)
    total = nucleus + ring
    return torch.where(total > 0, (nucleus - ring) / total, torch.nan)


def _nucleus_and_ring(
    images: Tensor, masks: Tensor, inner: float, outer: float, background_percentile: float
) -> tuple[Tensor, Tensor]:
    """Mean intensities, (N,) float64 each, above the background; NaN where there are no pixels."""
    images = images.double()
    ring = _within(masks, outer) & ~_within(masks, inner)
    background = _percentile(images.flatten(1), background_percentile)
    nucleus_mean, ring_mean = (
        torch.where(pixels, images, 0.0).sum((1, 2)) / pixels.sum((1, 2)) - background for pixels in (masks, ring)
    )
    return nucleus_mean, ring_mean


def _within(masks: Tensor, radius: float) -> Tensor:
    """Pixels at most `radius` from the mask: its dilation by a disc, as a union of shifted rows."""
    height, width = masks.shape[1:]
    reach = math.floor(radius)
    padded = pad(masks, (reach,) * 4)
    widths = [math.floor(math.sqrt(radius**2 - step**2)) for step in range(reach + 1)]  # of the disc, by row
    found, wide = masks.clone(), padded[:, :, reach : reach + width].clone()
    for across in range(reach + 1):
        for start in (reach - across, reach + across):
            wide |= padded[:, :, start : start + width]
        for down in (step for step in range(reach + 1) if widths[step] == across):
            for start in (reach - down, reach + down):
                found |= wide[:, start : start + height]
    return found


def _percentile(values: Tensor, percent: float) -> Tensor:
    """Percentile of each row with linear interpolation; `torch.quantile` takes no more than 16 million values."""
    position = (values.shape[1] - 1) * percent / 100
    below = math.floor(position)
    lowest = values.topk(min(below + 2, values.shape[1]), dim=1, largest=False).values
    return torch.lerp(lowest[:, below], lowest[:, -1], position - below)
