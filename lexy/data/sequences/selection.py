"""Measures of stills and their masks, by which a protocol chooses those that it can use."""

import torch
from torch import Tensor

from lexy.images.filters import dilate_box, ring
from lexy.images.rings import PUBLISHED_REACH

BINS = 256


def otsu_threshold(images: Tensor) -> Tensor:
    """Return Otsu's threshold of each image, equal to `skimage.filters.threshold_otsu`.

    Parameters
    ----------
    images : Tensor, float (N, ...)

    Returns
    -------
    Tensor, float64 (N,)
        A constant image's own value.
    """
    values = images.flatten(1).double()
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    place = ((values - low) / (high - low).clamp(min=torch.finfo(torch.float64).tiny) * BINS).long().clamp(max=BINS - 1)
    counts = torch.zeros(len(values), BINS, dtype=torch.float64, device=values.device)
    counts.scatter_add_(1, place, torch.ones_like(values))
    centres = low + (torch.arange(BINS, device=values.device) + 0.5) / BINS * (high - low)
    below, above = counts.cumsum(1), counts.flip(1).cumsum(1).flip(1)
    weighted = counts * centres
    mean_below = weighted.cumsum(1) / below
    mean_above = weighted.flip(1).cumsum(1).flip(1) / above
    between = below[:, :-1] * above[:, 1:] * (mean_below[:, :-1] - mean_above[:, 1:]) ** 2
    return torch.where(high[:, 0] > low[:, 0], centres.gather(1, between.argmax(1, keepdim=True))[:, 0], low[:, 0])


def published_means(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means of nuclei and published ring: the dilated mask minus the mask, within Otsu foreground.

    Parameters
    ----------
    images, masks : Tensor, float (N, 1, H, W)

    Returns
    -------
    nucleus, ring : Tensor, float32 (N,)
        NaN where there are no such pixels. Their difference is `lexy.data.crops.ring_contrast`.
    """
    foreground = images > otsu_threshold(images).view(-1, 1, 1, 1)
    around = (ring(masks, 0, PUBLISHED_REACH, dilate_box) > 0) & foreground
    return mean_within(images, masks), mean_within(images, around)


def mean_within(images: Tensor, masks: Tensor) -> Tensor:
    """Return the mean of each image (N, ...) over its mask, float32 (N,); NaN for an empty mask."""
    masks = masks.to(images.dtype)
    return (images * masks).flatten(1).sum(1) / masks.flatten(1).sum(1)


def area_and_centroid(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return area (B,) and centroid (B, 2; column, row), pixels, of masks (B, 1, H, W); 0 for an empty one."""
    rows, columns = masks.sum((1, 3)), masks.sum((1, 2))
    area = rows.sum(1)
    first = [
        (line * torch.arange(line.shape[1], device=masks.device)).sum(1) / area.clamp(min=1) for line in (columns, rows)
    ]
    return area, torch.stack(first, dim=1)


def touches_border(masks: Tensor) -> Tensor:
    """Return whether a mask (N, 1, H, W) has a pixel on the image's border: bool (N,)."""
    inside = masks[..., 1:-1, 1:-1].flatten(1).sum(1)
    return masks.flatten(1).sum(1) > inside
