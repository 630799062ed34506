"""The published affine about the top-left corner: x′ = (1 + s) (x − tan(h) y), y′ = (1 + s) y, to the nearest pixel."""

import torch
from torch import Tensor


def corner_affine(images: Tensor, scale: Tensor, shear: Tensor) -> Tensor:
    """Resample images to the nearest pixel; 0 comes in from outside.

    Parameters
    ----------
    images : Tensor, float (B, C, H, W)
    scale, shear : Tensor, float (B,)
        s, more than −1, and h in radians.

    Returns
    -------
    Tensor, (B, C, H, W)
    """
    channels, height, width = images.shape[1:]
    scale, slope = (x.to(images.device)[:, None, None] for x in (scale, torch.tan(shear)))
    rows, columns = (torch.arange(n, device=images.device) for n in (height, width))
    row, column = corner_source(rows[:, None], columns, scale, slope)  # (B, H, 1), (B, H, W)
    inside = (row < height) & (column >= 0) & (column < width)
    index = row.clamp(max=height - 1) * width + column.clamp(0, width - 1)
    found = images.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, channels, -1)).view_as(images)
    return found * inside[:, None]


def corner_source(rows: Tensor, columns: Tensor, scale: Tensor | float, slope: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return the pixels from which the affine (s = `scale`, tan(h) = `slope`) takes rows and columns: int64."""
    rows = rows / (1 + scale)
    return nearest(rows), nearest(columns / (1 + scale) + slope * rows)


def nearest(position: Tensor) -> Tensor:
    """Round half away from zero, as scikit-image's warp does: int64."""
    return (position.sign() * (position.abs() + 0.5).floor()).long()
