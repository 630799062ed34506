"""Distances between the outlines of binary masks."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from lexy.evaluation.point_distances import directed_distances, points_by_image

MEASURES = ("hausdorff", "hd95", "mean_surface_distance", "surface_dice")


def outline(masks: Tensor) -> Tensor:
    """Find the pixels of each mask that have one of their four neighbours outside it, or outside the image.

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


def surface_distances(predicted: Tensor, truth: Tensor, tolerance: float = 1.0) -> dict[str, NDArray[np.float64]]:
    """Measure the distances between the outlines of each predicted mask and its true one, both ways, in pixels.

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
    outlines = [
        points_by_image(torch.nonzero(outline(masks).flatten())[:, 0].cpu().numpy(), (count, height, width))
        for masks in (predicted, truth)
    ]
    diagonal = float(np.hypot(height, width))
    rows = [_distances(first, second, diagonal, tolerance) for first, second in zip(*outlines, strict=True)]
    return dict(zip(MEASURES, np.array(rows, dtype=np.float64).reshape(count, len(MEASURES)).T, strict=True))


def _distances(
    first: NDArray[np.float64], second: NDArray[np.float64], diagonal: float, tolerance: float
) -> tuple[float, float, float, float]:
    """The measures of one pair of outlines, in the order of `MEASURES`."""
    if len(first) == 0 or len(second) == 0:
        return (0.0, 0.0, 0.0, 1.0) if len(first) == len(second) else (diagonal, diagonal, diagonal, 0.0)
    forth, back = directed_distances(first, second)
    pooled = np.concatenate([forth, back])
    hd95 = max(np.percentile(forth, 95), np.percentile(back, 95))
    return float(pooled.max()), float(hd95), float(pooled.mean()), float((pooled <= tolerance).mean())
