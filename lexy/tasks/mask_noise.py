"""Wrong previous masks and references for training on stills: the study's biased warp, and noise without bias.

`previous(masks, draw)` gives masks like those of the frame before, `reference(frames, masks, draw)` another frame with
its mask, and `pair(frames, masks, draw)` both. Masks are float (B, 1, H, W) in {0, 1}, on any device; `draw` is a
generator on the CPU, so that the draws are the same everywhere. To be called outside of autocast, which would round
positions.
"""

import functools
import math
from typing import Annotated, Protocol, runtime_checkable

import torch
from annotated_types import Ge, Interval
from torch import Generator, Tensor
from torch.nn import functional

from lexy.data.sequences.corner_affine import corner_affine
from lexy.data.sequences.selection import area_and_centroid
from lexy.images.filters import blur

SOFT = 1.0  # smoothing before resampling, px: lets a binary outline move by fractions of a pixel
CONTROL = 3  # control points of the thin-plate spline along each side
STEPS = 12  # of the bisection for the area: levels to 1 / 4096 of a field's height

Share = Annotated[float, Interval(ge=0, lt=1)]


@runtime_checkable  # for the check of configs
class MaskNoise(Protocol):
    """What training on stills makes previous masks and references with."""

    def previous(self, masks: Tensor, draw: Generator) -> Tensor:
        """Previous masks (B, 1, H, W) in {0, 1} for true ones."""

    def reference(self, frames: Tensor, masks: Tensor, draw: Generator) -> tuple[Tensor, Tensor]:
        """Reference frames and their masks, (B, 1, H, W) each, for true ones."""

    def pair(self, frames: Tensor, masks: Tensor, draw: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Previous masks, and reference frames with their masks."""


class PublishedNoise:
    """The study's warp, for reproduction: an affine about the top-left corner that only ever enlarges the mask.

    x′ = (1 + s) (x − tan(h) y), y′ = (1 + s) y, with the scale s and the shear h (radians) each uniform; resampled to
    the nearest pixel, 0 outside. For the reference both are multiplied by +2 or −2, and the mask is smoothed
    (Gaussian, 1.5 px) and cut at 0.5.

    Parameters
    ----------
    low, high : float
        Range of s and of h.
    """

    def __init__(
        self, low: Annotated[float, Interval(ge=0, le=0.4)] = 0.01, high: Annotated[float, Interval(ge=0, le=0.4)] = 0.1
    ) -> None:
        if low > high:
            raise ValueError(f"low={low} is above high={high}")
        self.low, self.high = low, high

    def previous(self, masks: Tensor, draw: Generator) -> Tensor:
        """See `MaskNoise.previous`."""
        return corner_affine(masks, *self._draw(len(masks), draw))

    def reference(self, frames: Tensor, masks: Tensor, draw: Generator) -> tuple[Tensor, Tensor]:
        """See `MaskNoise.reference`."""
        return self._reference(frames, masks, *self._draw(len(masks), draw), draw)

    def pair(self, frames: Tensor, masks: Tensor, draw: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """See `MaskNoise.pair`: both from the same draws, as in the study."""
        scale, shear = self._draw(len(masks), draw)
        return corner_affine(masks, scale, shear), *self._reference(frames, masks, scale, shear, draw)

    def _reference(
        self, frames: Tensor, masks: Tensor, scale: Tensor, shear: Tensor, draw: Generator
    ) -> tuple[Tensor, Tensor]:
        sign = 4.0 * torch.randint(2, (len(masks),), generator=draw) - 2
        both = corner_affine(torch.cat([frames, masks.to(frames.dtype)], dim=1), sign * scale, sign * shear)
        return both[:, :1], (blur(both[:, 1:], 1.5) >= 0.5).to(masks.dtype)

    def _draw(self, count: int, draw: Generator) -> tuple[Tensor, Tensor]:
        scale, shear = self.low + (self.high - self.low) * torch.rand(2, count, generator=draw)
        return scale, shear


class UnbiasedNoise:
    """Mask noise about the mask's centroid that keeps area and centroid in the mean.

    The mask, smoothed a little, is moved (rotation, shear, scale, shift, thin-plate spline); soft spots are added to it
    or taken from it; then it is cut at the level that leaves the area wanted: what the moved soft mask holds, times a
    factor of mean 1. So neither the resampling nor the cut nor the spots make a mask grow or shrink: `margin` erodes or
    dilates by moving the level, and what a hole takes the outline gives back. All moves are symmetric about zero, so
    that the centroid stays in the mean. The border is repeated outwards, or nuclei that it cuts would be eaten up.

    Parameters
    ----------
    scale : float
        Largest relative change of the area by scaling; uniform.
    margin : float
        Largest relative change of the area by erosion or dilation; uniform.
    shift : float
        Largest shift, as a share of the nucleus' size (square root of the area).
    rotation, shear : float
        Largest angles, degrees.
    thin_plate : float
        Standard deviation of the shifts of 3 × 3 control points of a thin-plate spline, as a share of the image's size.
    spots : int
        Number of soft spots, each added or taken with equal chance: holes, bites, bumps and islands.
    dropout : float
        Probability that the previous mask is empty. (What is kept in the mean is the area of the masks that are not.)
    """

    def __init__(
        self,
        scale: Share = 0.2,
        margin: Share = 0.15,
        shift: Share = 0.08,
        rotation: Annotated[float, Interval(ge=0, le=180)] = 20.0,
        shear: Annotated[float, Interval(ge=0, lt=45)] = 10.0,
        thin_plate: Share = 0.02,
        spots: Annotated[int, Ge(0)] = 2,
        dropout: Annotated[float, Interval(ge=0, le=1)] = 0.0,
    ) -> None:
        self.scale, self.margin, self.shift = scale, margin, shift
        self.rotation, self.shear, self.thin_plate = rotation, shear, thin_plate
        self.spots, self.dropout = spots, dropout

    def previous(self, masks: Tensor, draw: Generator) -> Tensor:
        """See `MaskNoise.previous`."""
        moved = _sampled(blur(masks, SOFT), self._moves(masks, draw))
        ratio = 1 + self.margin * _symmetric(len(masks), draw)
        ratio = ratio * (torch.rand(len(masks), generator=draw) >= self.dropout)
        area = moved.sum((1, 2, 3)) * ratio.to(masks.device)
        return cut_to_area(moved + self._spots(masks, draw), area).to(masks.dtype)

    def reference(self, frames: Tensor, masks: Tensor, draw: Generator) -> tuple[Tensor, Tensor]:
        """See `MaskNoise.reference`: frame and mask are moved alike, nothing else happens to them."""
        grid = self._moves(masks, draw)
        moved = _sampled(blur(masks, SOFT), grid)
        return _sampled(frames, grid), cut_to_area(moved, moved.sum((1, 2, 3))).to(masks.dtype)

    def pair(self, frames: Tensor, masks: Tensor, draw: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """See `MaskNoise.pair`: independent of each other."""
        return self.previous(masks, draw), *self.reference(frames, masks, draw)

    def _moves(self, masks: Tensor, draw: Generator) -> Tensor:
        """Where each output pixel comes from, (B, H, W, 2) as `grid_sample` counts."""
        count, _, height, width = masks.shape
        ratio = 1 + self.scale * _symmetric(count, draw)
        angle = math.radians(self.rotation) * _symmetric(count, draw)
        slope = torch.tan(math.radians(self.shear) * _symmetric(count, draw))
        shift = self.shift * torch.stack([_symmetric(count, draw), _symmetric(count, draw)], dim=1)
        bend = self.thin_plate * torch.randn(count, 2, CONTROL**2, generator=draw)
        cos, sin = torch.cos(angle) / ratio.sqrt(), torch.sin(angle) / ratio.sqrt()
        linear = torch.stack([cos, slope * cos - sin, sin, slope * sin + cos], dim=1).view(count, 2, 2)

        linear, shift, bend = (x.to(masks.device) for x in (linear, shift, bend))
        area, centroid = area_and_centroid(masks)
        target = centroid + shift * area.sqrt()[:, None]
        size = torch.tensor([width, height], device=masks.device)
        # Position (column, row) that each output pixel comes from: (B, 2, H, W).
        bent = (bend @ _thin_plate(height, width, masks.device)).view(count, 2, height, width)
        across, down = (
            linear[:, :, axis, None] * (torch.arange(n, device=masks.device) - target[:, axis, None])[:, None]
            for axis, n in ((0, width), (1, height))
        )
        source = across[:, :, None] + down[..., None] + bent * size.view(2, 1, 1) + centroid[:, :, None, None]
        return ((2 * source + 1) / size.view(2, 1, 1) - 1).permute(0, 2, 3, 1)

    def _spots(self, masks: Tensor, draw: Generator) -> Tensor:
        """Sum of Gaussian spots of either sign about the centroid, (B, 1, H, W)."""
        count, _, height, width = masks.shape
        place = torch.randn(count, self.spots, 2, generator=draw) * 0.5
        reach = 0.1 + 0.1 * torch.rand(count, self.spots, 1, generator=draw)
        weight = 1.5 * (2 * torch.rand(count, self.spots, generator=draw) - 1)
        place, reach, weight = (x.to(masks.device) for x in (place, reach, weight))
        area, centroid = area_and_centroid(masks)
        size = area.sqrt().clamp(min=1)[:, None, None]
        centre, radius = centroid[:, None] + place * size, reach * size
        columns, rows = (
            torch.exp(-((torch.arange(n, device=masks.device) - centre[..., axis, None]) / radius).square() / 2)
            for axis, n in ((0, width), (1, height))
        )
        return torch.einsum("bk,bkh,bkw->bhw", weight, rows, columns)[:, None]


def cut_to_area(fields: Tensor, area: Tensor) -> Tensor:
    """Cut each field at the level above which it has the given area, by bisection.

    Parameters
    ----------
    fields : Tensor, float (B, 1, H, W)
        Not constant; level sets of equal height cannot be told apart.
    area : Tensor, float (B,)
        Pixels; an area of 0 gives an empty mask.

    Returns
    -------
    Tensor, bool (B, 1, H, W)
    """
    flat = fields.flatten(1)
    low, high = torch.zeros_like(area), flat.amax(1)
    for _ in range(STEPS):
        level = (low + high) / 2
        above = (flat > level[:, None]).sum(1)
        low, high = torch.where(above > area, level, low), torch.where(above > area, high, level)
    return fields > high.view(-1, 1, 1, 1)


def _sampled(images: Tensor, grid: Tensor) -> Tensor:
    """Bilinear; the border repeated, so that a nucleus cut by it is not eaten up from there."""
    return functional.grid_sample(images, grid.to(images.dtype), padding_mode="border", align_corners=False)


def _symmetric(count: int, draw: Generator) -> Tensor:
    return 2 * torch.rand(count, generator=draw) - 1


@functools.lru_cache(maxsize=8)
def _thin_plate(height: int, width: int, device: torch.device) -> Tensor:
    """What each control point's shift adds to that of each pixel, (points, H · W): Bookstein's thin-plate spline."""
    line = torch.linspace(0, 1, CONTROL, dtype=torch.float64)
    points = torch.cartesian_prod(line, line)
    pixels = torch.cartesian_prod(*((torch.arange(n, dtype=torch.float64) + 0.5) / n for n in (height, width)))

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        squared = torch.cdist(a, b).square()
        return squared * torch.log(squared.clamp(min=1e-12))

    def with_affine(values: Tensor, at: Tensor) -> Tensor:
        return torch.cat([values, torch.ones(len(at), 1, dtype=at.dtype), at], dim=1)

    count = len(points)
    system = torch.zeros(count + 3, count + 3, dtype=torch.float64)
    system[:count] = with_affine(kernel(points, points), points)
    system[count:, :count] = system[:count, count:].T
    weights = torch.linalg.solve(system, torch.eye(count + 3, count, dtype=torch.float64))
    map_: Tensor = with_affine(kernel(pixels, points), pixels) @ weights
    return map_.T.float().contiguous().to(device)
