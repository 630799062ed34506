"""A still taken apart: nucleus and cytoplasm, of the cell of interest and of its neighbours."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lexy.data.sequences.selection import area_and_centroid, mean_within
from lexy.images.filters import blur, dilate_box, dilate_cross

SMALL = 1e-4
RIM, HALO, RING = 2, 3, 6  # pixels inside and outside of the outline that the other side shines into; ring
TEXTURE = 0.3  # largest standard deviation of a nucleus' texture, share of its mean
DIM = (0.04, 0.14)  # rings darker than the first are replaced by synthetic cytoplasm, brighter than the second not


@dataclass(frozen=True)
class Cells:
    """Layers of a still: 0 is the cell of interest, 1 is everything else.

    Attributes
    ----------
    layers : Tensor, float32 (B, 2, 4, H, W)
        Nucleus (soft-edged, its mean over the nucleus is 1), cytoplasm (its mean over the ring is 1), mask of the
        nucleus, and body: 1 where the cell hides what lies behind it.
    share : Tensor, float32 (B,)
        Total cytoplasm over total nucleus of the cell of interest where both are equally bright.
    centre : Tensor, float32 (B, 2)
        Of the nucleus of interest: x, y in pixels.
    radius : Tensor, float32 (B,)
        Of a disc of its area, pixels.
    alone : Tensor, bool (B,)
        Whether the still has no other nucleus.
    """

    layers: Tensor
    share: Tensor
    centre: Tensor
    radius: Tensor
    alone: Tensor


def take_apart(images: Tensor, masks: Tensor, edge: Tensor, grain: Tensor) -> Cells:
    """Split stills into nucleus and cytoplasm, each with its own texture and without its brightness.

    Parameters
    ----------
    images, masks : Tensor, float32 (B, 1, H, W)
        Each mask with at least one pixel.
    edge : Tensor, float32 (B,)
        Width of the soft nuclear edge: standard deviation in pixels.
    grain : Tensor, float32 (B, 1, H, W)
        White noise that becomes the texture of synthetic cytoplasm.
    """
    main = central_nucleus(masks)
    others = masks - main
    area, centre = area_and_centroid(main)
    radius = (area / torch.pi).sqrt()
    images = blur(_without_background(images), 0.7)
    nucleus = _nuclear_texture(images, masks, radius)
    cytoplasm = _cytoplasm(images, masks, main, radius, grain)
    soft = torch.cat([blur(main, edge), blur(others, edge)], dim=1)[:, :, None]
    outside = (1 - soft.sum(1)).clamp(min=0)
    territory = _territory(main, others, radius)
    around = torch.stack([territory, 1 - territory], dim=1) * (cytoplasm * outside)[:, None]
    body = (2 * blur(soft + around, 0.3 * radius)).clamp(0, 1)
    whole = torch.stack([main, others], dim=1)
    layers = torch.cat([nucleus[:, None] * soft, around, whole, body], dim=2)
    totals = layers[:, 0].flatten(2).sum(2)
    return Cells(layers, totals[:, 1] / totals[:, 0], centre, radius, others.flatten(1).sum(1) == 0)


def central_nucleus(masks: Tensor) -> Tensor:
    """Return the 4-connected piece of each mask (B, 1, H, W) nearest to the image's centre; no mask is empty."""
    height, width = masks.shape[-2:]
    rows, columns = (torch.arange(n, device=masks.device) - (n - 1) / 2 for n in (height, width))
    allowed = masks > 0
    distance = torch.where(allowed, rows[:, None] ** 2 + columns**2, torch.inf)
    piece = functional.one_hot(distance.flatten(1).argmin(1), height * width).bool().view_as(masks)
    while True:
        grown = piece
        for _ in range(8):  # asking whether it still grows makes a GPU wait
            grown = dilate_cross(grown) & allowed
        if torch.equal(grown, piece):
            return piece.to(masks.dtype)
        piece = grown


def _without_background(images: Tensor) -> Tensor:
    flat = images.flatten(1)
    dark = flat.sort(dim=1).values[:, flat.shape[1] // 100]
    return (images - dark.view(-1, 1, 1, 1)).clamp(min=0)


def _local_mean(images: Tensor, weights: Tensor, sigma: Tensor, default: Tensor | float) -> Tensor:
    """Return the Gaussian mean of the pixels with weight; `default` where there are none near."""
    weight = blur(weights, sigma)
    return (blur(images * weights, sigma) + SMALL * default) / (weight + SMALL)


def _nuclear_texture(images: Tensor, masks: Tensor, radius: Tensor) -> Tensor:
    """Return the relative brightness within the nuclei, mean 1; their rims are filled from inside."""
    core = 1 - dilate_box(1 - masks, RIM)
    level = mean_within(images, masks).clamp(min=SMALL).view(-1, 1, 1, 1)
    texture = images / _local_mean(images, core, radius, level).clamp(min=SMALL)
    texture = torch.where(core > 0, texture, _local_mean(texture, core, torch.full_like(radius, 1.5), 1.0))
    spread = (mean_within((texture - 1) ** 2, masks)).sqrt().view(-1, 1, 1, 1)
    texture = (1 + (texture - 1) * (TEXTURE / spread.clamp(min=TEXTURE))).clamp(0.2, 2.5)
    return texture / mean_within(texture, masks).view(-1, 1, 1, 1)


def _cytoplasm(images: Tensor, masks: Tensor, main: Tensor, radius: Tensor, grain: Tensor) -> Tensor:
    """Return the relative brightness outside of the nuclei, mean 1 in the ring, smooth under the nuclei."""
    halo = dilate_box(masks, HALO)  # the nucleus' own light, and where its outline is not exact
    ring = dilate_box(masks, RING) - halo
    level = mean_within(images, ring).nan_to_num(0.0)
    bright = ((level - DIM[0]) / (DIM[1] - DIM[0])).clamp(0, 1).view(-1, 1, 1, 1)
    real = images / _local_mean(images, ring, 2 * radius, level.view(-1, 1, 1, 1)).clamp(min=DIM[0])
    real = real.clamp(max=2.5)
    real = torch.where(halo > 0, _local_mean(real, 1 - halo, 0.3 * radius, 1.0), real)

    near = blur(masks, 1.2 * radius)
    near = near / mean_within(near, ring).view(-1, 1, 1, 1)
    coarse, fine = (_standardised(blur(grain, sigma)) for sigma in (0.9 * radius, torch.full_like(radius, 1.0)))
    reach = 0.25 + 0.55 * bright  # beside a real cell only what its ring lacks is filled
    synthetic = ((near * (1 + 0.45 * coarse) - reach) / 0.6).clamp(0, 1) ** 0.7 * (1 + 0.12 * fine + 0.1 * coarse)
    present = (blur(real, 0.2 * radius) / 0.5).clamp(0, 1) * bright
    mixed = bright * real + (1 - present) * synthetic.clamp(min=0)
    level = mean_within(mixed, dilate_box(main, RING) * (1 - halo)).nan_to_num(0.0)  # none: hidden by other nuclei
    return mixed / torch.where(level > SMALL, level, 1.0).view(-1, 1, 1, 1)


def _standardised(noise: Tensor) -> Tensor:
    return (noise / noise.flatten(1).std(1).view(-1, 1, 1, 1)).clamp(-2, 2)


def _territory(main: Tensor, others: Tensor, radius: Tensor) -> Tensor:
    """Return the share of each pixel that belongs to the cell of interest: 1 without neighbours."""
    here, there = (blur(piece, radius) ** 3 for piece in (main, others))
    return (here + 1e-12) / (here + there + 1e-12)
