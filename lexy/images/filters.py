"""Gaussian blur, dilation and rings of whole batches, on any device."""

import math
from collections.abc import Callable
from typing import Literal, TypeVar

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import pad

TRUNCATE = 4.0  # standard deviations, as in SciPy
Border = Literal["nearest", "mirror"]

Reach = TypeVar("Reach", int, float)


def blur(images: Tensor, sigma: float | Tensor, border: Border = "nearest", radius: int | None = None) -> Tensor:
    """Blur with a Gaussian, as SciPy does.

    Two products with banded matrices: on small images faster than convolutions, and each image may have its own width.

    Parameters
    ----------
    images : Tensor, float (N, ..., H, W)
    sigma : float or Tensor (N,)
        Standard deviation in pixels, not negative; 0 leaves an image as it is.
    border : {'nearest', 'mirror'}
        What lies outside: the border pixels repeated, or the image mirrored about their centres.
    radius : int, optional
        Where the Gaussian is cut off, pixels; at 4 standard deviations of each image, if left out.

    Returns
    -------
    Tensor
        Shaped as `images`.
    """
    height, width = images.shape[-2:]
    widths = torch.as_tensor(sigma, dtype=images.dtype, device=images.device).reshape(-1)
    down = blur_matrix(height, widths, border, radius)
    across = down if height == width else blur_matrix(width, widths, border, radius)
    shape = (len(widths), *[1] * (images.dim() - 3)) if len(widths) > 1 else ()
    return down.view(*shape, height, height) @ images @ across.view(*shape, width, width).mT


def blur_matrix(length: int, sigma: Tensor, border: Border = "nearest", radius: int | None = None) -> Tensor:
    """Return the Gaussian blur of a line as a matrix for each of N widths, (N, length, length), rows of sum 1."""
    index = torch.arange(length, device=sigma.device, dtype=sigma.dtype)
    largest = int(TRUNCATE * float(sigma.max()) + 0.5) if radius is None else radius
    taps = torch.arange(-largest, largest + 1, device=sigma.device, dtype=sigma.dtype)
    spread = sigma[:, None].clamp(min=1e-3)
    weights = torch.exp(-0.5 * (taps / spread) ** 2)
    if radius is None:
        weights = weights * (taps.abs() <= torch.floor(TRUNCATE * spread + 0.5))
    weights = weights / weights.sum(1, keepdim=True)
    source = _inside(index[:, None] + taps, length, border).long()
    matrix = torch.zeros(len(sigma), length, length, device=sigma.device, dtype=sigma.dtype)
    return matrix.scatter_add_(
        2, source.expand(len(sigma), -1, -1), weights[:, None, :].expand(-1, length, -1).contiguous()
    )


def _inside(position: Tensor, length: int, border: Border) -> Tensor:
    """Return the positions on a line whose values stand for given ones, of which some lie outside."""
    if border == "nearest":
        return position.clamp(0, length - 1)
    period = max(2 * (length - 1), 1)
    position = position.remainder(period)
    return torch.minimum(position, period - position)


def dilate_box(masks: Tensor, reach: int) -> Tensor:
    """Dilate masks (N, 1, H, W), float in [0, 1], by a square of side 2 · reach + 1."""
    for kernel, padding in (((2 * reach + 1, 1), (reach, 0)), ((1, 2 * reach + 1), (0, reach))):
        masks = functional.max_pool2d(masks, kernel, stride=1, padding=padding)
    return masks


def dilate_cross(masks: Tensor) -> Tensor:
    """Dilate masks (..., H, W), bool, by a 3 × 3 cross."""
    wide = masks.clone()
    wide[..., 1:, :] |= masks[..., :-1, :]
    wide[..., :-1, :] |= masks[..., 1:, :]
    wide[..., :, 1:] |= masks[..., :, :-1]
    wide[..., :, :-1] |= masks[..., :, 1:]
    return wide


def dilate_disc(masks: Tensor, radius: float) -> Tensor:
    """Dilate masks (N, H, W), bool, by a disc: every pixel at most `radius` from the mask."""
    height, width = masks.shape[1:]
    reach = math.floor(radius)
    padded = pad(masks, (reach,) * 4)
    widths = [math.floor(math.sqrt(radius**2 - step**2)) for step in range(reach + 1)]  # of the disc, by row
    found, wide = masks.clone(), padded[:, :, reach : reach + width].clone()
    for across in range(reach + 1):  # the disc is a union of shifted rows
        for start in (reach - across, reach + across):
            wide |= padded[:, :, start : start + width]
        for down in (step for step in range(reach + 1) if widths[step] == across):
            for start in (reach - down, reach + down):
                found |= wide[:, start : start + height]
    return found


def ring(masks: Tensor, inner: Reach, outer: Reach, dilate: Callable[[Tensor, Reach], Tensor]) -> Tensor:
    """Return what dilation by `outer` adds to masks, but dilation by `inner` does not; of the type of the masks.

    Parameters
    ----------
    masks : Tensor
        Of the shape and type that `dilate` takes.
    inner, outer : int or float
        Pixels.
    dilate : callable
        `dilate_box` or `dilate_disc`.
    """
    wide, narrow = dilate(masks, outer), dilate(masks, inner)
    return wide ^ narrow if masks.dtype == torch.bool else wide - narrow
