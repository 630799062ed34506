"""Synthetic videos of LEXY: the protein leaves the nucleus under blue light and returns in the dark.

A still is taken apart into nucleus and cytoplasm (`cells`), both are given a brightness that changes with time
(`exchange`), moved (`motion`) and seen by a camera (`camera`). Frames and masks are resampled by the same grids, so the
masks are exact. Two layers move on their own: the cell of interest in front, behind it the still's other cells or,
where there are none, a mirrored copy of the cell itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor
from torch.nn import functional

from lexy.data.sequences.camera import expose
from lexy.data.sequences.cells import Cells, central_nucleus, take_apart
from lexy.data.sequences.draws import Draws, white_noise
from lexy.data.sequences.export_kinetics import exchange
from lexy.data.sequences.motion import POINTS, linear_maps, sampling_grid, smooth_paths
from lexy.data.sequences.protocol import Protocol, Sequences
from lexy.data.sequences.selection import mean_within, touches_border
from lexy.errors import UserError
from lexy.images.filters import dilate_box, ring
from lexy.images.rings import OUTER

NotNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]
Share = Annotated[float, Interval(ge=0, le=1)]
Range = tuple[NotNegative, NotNegative]
PositiveRange = tuple[Positive, Positive]
CYTOPLASM = (1.5, 6.0)  # total cytoplasm over total nucleus: crops cut the cell, and some stills show none
NEIGHBOUR = (2.6, 3.6)  # distance of a copied neighbour, radii of the nucleus
EXPRESSION = 0.3  # standard deviation of the logarithm of a cell's brightness


@dataclass(frozen=True)
class Translocation(Protocol):
    """What LEXY does to a cell, and what a microscope makes of it.

    Ranges are (lowest, highest); each clip draws its own value. Paths in time are sums of sines that start at 0.

    Parameters
    ----------
    frames : int
        In a clip.
    interval : float
        Seconds from one frame to the next.
    start : tuple of float
        Time of the first frame, seconds: above 0, a clip is a later part of the experiment.
    onset, light : tuple of float
        When the light goes on, and for how long, seconds.
    before, during : tuple of float
        Nuclear over cytoplasmic brightness before the light (above 1) and at its end (below 1): the contrast crosses
        zero on the way out, and again where the return goes far enough.
    recovery : tuple of float
        Share of the exported protein that comes back in the end.
    export, back : tuple of float
        Time constants of export and return, seconds.
    drift, elastic : float
        Standard deviation of the cell's path, and of the control points of its deformation: share of the shorter side.
    rotation, stretch : float
        Standard deviations of the angle in degrees, and of the logarithm of the scale along each axis.
    period : tuple of float
        Periods of the sines that motion is made of, seconds.
    neighbours : float
        Probability that a cell that is alone in its still gets a neighbour.
    edge : tuple of float
        Soft nuclear edge: standard deviation in pixels.
    exposure : tuple of float
        Mean of the nucleus before the light, share of the camera's saturation.
    background : tuple of float
        Share of saturation.
    bleaching : tuple of float
        Share of the light lost in a minute.
    photons : tuple of float
        Counted at saturation; their logarithm is uniform.
    read : tuple of float
        Standard deviation of the read noise, share of saturation.
    focus : float
        Standard deviation of the path of the blur, pixels.
    min_signal : float
        A still is used if its nucleus or its ring is at least so bright on average, share of the brightest pixel; the
        nucleus nearest to its centre does not touch the border and covers a share of the frame within `area`.
    area : tuple of float
        See `min_signal`.

    Raises
    ------
    UserError
        If the two numbers of a range are in the wrong order.
    """

    frames: Annotated[int, Ge(2)] = 30
    interval: Positive = 30.0
    start: Range = (0.0, 0.0)
    onset: Range = (30.0, 150.0)
    light: PositiveRange = (240.0, 420.0)
    before: tuple[Annotated[float, Gt(1)], Annotated[float, Gt(1)]] = (1.4, 4.0)
    during: tuple[Annotated[float, Interval(gt=0, lt=1)], Annotated[float, Interval(gt=0, lt=1)]] = (0.35, 0.8)
    recovery: tuple[Share, Share] = (0.6, 1.0)
    export: PositiveRange = (45.0, 150.0)
    back: PositiveRange = (60.0, 240.0)
    drift: Share = 0.02
    rotation: Annotated[float, Interval(ge=0, le=180)] = 5.0
    stretch: Share = 0.03
    elastic: Share = 0.008
    period: PositiveRange = (600.0, 3600.0)
    neighbours: Share = 0.5
    edge: Range = (0.6, 1.4)
    exposure: tuple[Share, Share] = (0.4, 0.8)
    background: tuple[Share, Share] = (0.01, 0.06)
    bleaching: tuple[Share, Share] = (0.0, 0.03)
    photons: PositiveRange = (60.0, 600.0)
    read: Range = (0.005, 0.02)
    focus: NotNegative = 0.4
    min_signal: Share = 0.08
    area: tuple[Share, Share] = (0.01, 0.4)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, Sequence) and value[0] > value[1]:
                raise UserError(f"data.protocol.{name}={list(value)}: the lower end of the range comes first.")

    def select(self, images: Tensor, masks: Tensor) -> Tensor:
        """Return which stills have a central nucleus of usable size and brightness."""
        empty = masks.flatten(1).amax(1) == 0
        main = central_nucleus(torch.where(empty.view(-1, 1, 1, 1), 1.0, masks))
        share = main.flatten(1).mean(1)
        around = ring(main, 0, int(OUTER), dilate_box)
        signal = torch.maximum(mean_within(images, main), mean_within(images, around).nan_to_num(0.0))
        bright = signal >= self.min_signal * images.flatten(1).amax(1)
        return ~empty & ~touches_border(main) & bright & (share >= self.area[0]) & (share <= self.area[1])

    def clips(self, images: Tensor, masks: Tensor, seed: int, clips: Sequence[int]) -> Sequences:
        """Make one clip from each still."""
        device, draws = images.device, Draws(seed, clips)
        time = draws.uniform(self.start)[:, None] + torch.arange(self.frames) * self.interval
        grain = white_noise(draws.keys().to(device), 1, *images.shape[-2:])
        cells = take_apart(images, masks, draws.uniform(self.edge).to(images), grain)
        brightness = self._brightness(draws, time, cells).to(images)
        copied = cells.alone & (draws.uniform((0.0, 1.0)) < self.neighbours).to(device)
        layers = torch.where(copied.view(-1, 1, 1, 1, 1), cells.layers[:, :1], cells.layers)
        grids = self._grids(draws, time, cells, copied, images.shape[-2], images.shape[-1])
        light, nuclei, contrast = _composed(layers, grids, brightness)
        return Sequences(self._exposed(draws, time, light), nuclei[:, :, None], contrast)

    def _brightness(self, draws: Draws, time: Tensor, cells: Cells) -> Tensor:
        """Return the brightness of nucleus and cytoplasm in both layers: (B, 2, 2, T)."""
        onset, light = (draws.uniform(between)[:, None] for between in (self.onset, self.light))
        nucleus, cytoplasm = exchange(
            time[:, None],
            onset.expand(-1, 2),
            light.expand(-1, 2),
            draws.log_uniform(self.before, 2),
            draws.log_uniform(self.during, 2),
            draws.uniform(self.recovery, 2),
            draws.log_uniform(self.export, 2),
            draws.log_uniform(self.back, 2),
            cells.share.clamp(*CYTOPLASM).cpu().double()[:, None].expand(-1, 2),
        )
        expression = torch.exp(EXPRESSION * draws.normal(2))
        expression = expression / expression.amax(1, keepdim=True)
        return torch.stack([nucleus, cytoplasm], dim=2) * expression[:, :, None, None]

    def _grids(self, draws: Draws, time: Tensor, cells: Cells, copied: Tensor, height: int, width: int) -> Tensor:
        """Return where each pixel of each layer comes from: float32 (B, 2, T, H, W, 2)."""
        side = min(height, width)
        drift = smooth_paths(draws, time, self.period, 2, 2) * (self.drift * side)
        angle = smooth_paths(draws, time, self.period, 2) * math.radians(self.rotation)
        stretch = smooth_paths(draws, time, self.period, 2, 3) * self.stretch
        points = smooth_paths(draws, time, self.period, 2, 2 * POINTS**2) * (self.elastic * side)
        turn, distance = draws.uniform((0.0, 2 * math.pi)), draws.uniform(NEIGHBOUR)
        flip = torch.sign(draws.uniform((-1.0, 1.0), 2))
        device = copied.device
        linear = linear_maps(angle, stretch.movedim(2, -1)).float().to(device)
        aside = (torch.stack([turn.cos(), turn.sin()], dim=1) * distance[:, None]).float().to(device)
        linear[:, 1] = torch.where(
            copied.view(-1, 1, 1, 1), flip.float().to(device)[:, None, :, None] * linear[:, 1], linear[:, 1]
        )
        centre = cells.centre[:, None].expand(-1, 2, -1)
        target = centre + torch.stack([torch.zeros_like(aside), aside * (cells.radius * copied)[:, None]], dim=1)
        target = target[:, :, None] + drift.movedim(2, -1).float().to(device)
        elastic = torch.unflatten(points, 2, (2, POINTS, POINTS)).movedim(-1, 2).float().to(device)
        linear, centre, target, elastic = (part.flatten(0, 1) for part in (linear, centre, target, elastic))
        return torch.unflatten(sampling_grid(linear, centre, target, elastic, height, width), 0, (-1, 2))

    def _exposed(self, draws: Draws, time: Tensor, light: Tensor) -> Tensor:
        """Return the frames (B, T, 1, H, W) that a camera takes of the cells' light (B, T, H, W)."""
        exposure, background = (draws.uniform(between)[:, None] for between in (self.exposure, self.background))
        remaining = (1 - draws.uniform(self.bleaching)[:, None]) ** ((time - time[:, :1]) / 60)
        focus = smooth_paths(draws, time, self.period).abs() * self.focus
        camera = focus, draws.log_uniform(self.photons), draws.uniform(self.read)
        focus, photons, read = (part.to(light) for part in camera)
        gain, floor = ((exposure * remaining), background * remaining)
        light = light * gain.to(light)[..., None, None] + floor.to(light)[..., None, None]
        return expose(light, focus, photons, read, draws.keys().to(light.device))[:, :, None]


def _composed(layers: Tensor, grids: Tensor, brightness: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Move the layers and lay the cell of interest over the other one.

    Parameters
    ----------
    layers : Tensor (B, 2, 4, H, W)
        See `Cells`.
    grids : Tensor (B, 2, T, H, W, 2)
    brightness : Tensor (B, 2, 2, T)
        Of nucleus and cytoplasm of each layer.

    Returns
    -------
    light : Tensor (B, T, H, W)
    nuclei : Tensor (B, T, H, W), in {0, 1}
    contrast : Tensor (B, T)
        Over all nuclei that can be seen, by their area.
    """
    time, height = grids.shape[2:4]
    flat = functional.grid_sample(
        layers.flatten(0, 1), grids.flatten(0, 1).flatten(1, 2), padding_mode="reflection", align_corners=False
    )
    moved = torch.unflatten(torch.unflatten(flat, 2, (time, height)), 0, (-1, 2))  # (B, 2, 4, T, H, W)
    nucleus, cytoplasm, mask, body = moved.unbind(2)
    behind = 1 - body[:, 0]
    light = nucleus * brightness[:, :, 0, :, None, None] + cytoplasm * brightness[:, :, 1, :, None, None]
    seen = torch.stack([mask[:, 0], mask[:, 1] * behind], dim=1) >= 0.5
    area = seen.sum((3, 4)).to(light.dtype)
    inside, outside = (brightness * area[:, :, None]).sum(1).unbind(1)
    contrast = ((inside - outside) / (inside + outside)).nan_to_num(0.0)
    return light[:, 0] + behind * light[:, 1], seen.any(1).to(light.dtype), contrast
