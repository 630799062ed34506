"""Distances between the outlines of binary masks."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from lexy.evaluation.points import BatchedPoints, directed_distances


def outline(masks: Tensor) -> Tensor:
    """Pixels of each mask that have one of their four neighbours outside it; what lies beyond the image is outside.

    Parameters
    ----------
    masks : Tensor
        (N, H, W) bool.

    Returns
    -------
    Tensor
        (N, H, W) bool, on the masks' device.
    """
    padded = pad(masks, (1, 1, 1, 1))
    inner = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    return masks & ~inner


def surface_distances(predicted: Tensor, truth: Tensor, tolerance: float = 1.0) -> dict[str, np.ndarray]:
    """Distances between the outlines of each predicted mask and its true one, both ways, in pixels.

    Parameters
    ----------
    predicted, truth : Tensor
        (N, H, W) bool.
    tolerance : float
        Pixels within which `surface_dice` takes two outlines for the same.

    Returns
    -------
    dict of str to np.ndarray
        (N,) float64 each. In pixels: `hausdorff`; `hd95`, the larger of the two directed 95th percentiles;
        `mean_surface_distance`, the mean over both directions' distances together. In [0, 1]: `surface_dice`, the
        fraction of both outlines within the tolerance. Definitions as in MONAI, except that two empty masks give
        distances of 0 and a surface Dice of 1, and one empty mask gives the image's diagonal and 0.
    """
    count, height, width = predicted.shape
    first, second = (
        BatchedPoints.from_flat(torch.nonzero(outline(masks).flatten())[:, 0].cpu().numpy(), (count, height, width))
        for masks in (predicted, truth)
    )
    both, forth, back = directed_distances(first, second)
    empty = (first.counts == 0) & (second.counts == 0)
    distance = np.where(empty, 0.0, np.hypot(height, width))
    result = {name: distance.copy() for name in ("hausdorff", "hd95", "mean_surface_distance")}
    result["surface_dice"] = empty.astype(np.float64)
    for image, there, here in zip(np.flatnonzero(both), forth.split(), back.split(), strict=True):
        pooled = np.concatenate([there, here])
        result["hausdorff"][image] = pooled.max()
        result["hd95"][image] = max(np.percentile(there, 95), np.percentile(here, 95))
        result["mean_surface_distance"][image] = pooled.mean()
        result["surface_dice"][image] = (pooled <= tolerance).mean()
    return result
