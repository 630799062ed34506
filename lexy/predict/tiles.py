"""Fields of any size as overlapping tiles, smoothly blended."""

import math
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lexy.errors import UserError


class Axis(NamedTuple):
    """How one side of a field is tiled.

    Attributes
    ----------
    source : Tensor, int64 (tiles, size)
        The pixel that each pixel of a tile is read from; beyond the field's end it is reflected.
    target : Tensor, int64 (tiles, size)
        Where it is written to, in a side that is padded to at least one tile.
    weight : Tensor, float32 (tiles, size)
        What it counts. At each place of the padded side they sum to 1.
    """

    source: Tensor
    target: Tensor
    weight: Tensor


class Tiles:
    """Cuts fields into tiles, and puts them together again.

    Tiles are evenly spaced; the outermost begin at the border. A pixel counts in a tile by a raised cosine along each
    side, so nearly nothing at the tile's rim, where a network saw only half of the surroundings. A field that is
    smaller than a tile is reflected at its end.

    Parameters
    ----------
    shape : tuple of int
        Of the field: height, width.
    size : tuple of int
        Of a tile.
    overlap : float
        Least share of a tile that its neighbour covers too, [0, 1).

    Raises
    ------
    UserError
        The overlap is outside its range.
    """

    def __init__(self, shape: tuple[int, int], size: tuple[int, int], overlap: float = 0.5) -> None:
        if not 0 <= overlap < 1:
            raise UserError(f"overlap={overlap:g} of tiles must be at least 0 and less than 1.")
        self.shape, self.size = shape, size
        self._rows, self._columns = (_axis(*sides, overlap) for sides in zip(shape, size, strict=True))

    def __len__(self) -> int:
        return len(self._rows.source) * len(self._columns.source)

    def to(self, device: torch.device) -> "Tiles":
        """Return the same tiles for fields on a device."""
        there = copy(self)
        there._rows, there._columns = (
            Axis(*(part.to(device) for part in axis)) for axis in (self._rows, self._columns)
        )
        return there

    def cut(self, field: Tensor, numbers: Tensor | None = None) -> Tensor:
        """Return the tiles (N, 1, h, w) of a field (H, W), row by row: all, or those with these numbers (N,)."""
        numbers = torch.arange(len(self), device=field.device) if numbers is None else numbers
        across = len(self._columns.source)
        rows, columns = self._rows.source[numbers // across], self._columns.source[numbers % across]
        return field[rows[:, :, None], columns[:, None, :]][:, None]

    def blend(self, tiles: Tensor) -> Tensor:
        """Return the field (H, W) of all tiles (N, 1, h, w): their weighted mean."""
        (_, down, weight_down), (_, across, weight_across) = self._rows, self._columns
        grid = tiles.view(len(down), len(across), *self.size) * weight_down[:, None, :, None]
        grid = (grid * weight_across[None, :, None, :]).permute(0, 2, 1, 3).flatten(2)
        height, width = map(max, self.shape, self.size)
        strips = grid.new_zeros(*grid.shape[:2], width).index_add_(2, across.flatten(), grid)
        field = grid.new_zeros(height, width).index_add_(0, down.flatten(), strips.flatten(0, 1))
        return field[: self.shape[0], : self.shape[1]]


def _axis(side: int, size: int, overlap: float) -> Axis:
    padded = max(side, size)
    step = max(1, math.floor(size * (1 - overlap)))
    count = math.ceil((padded - size) / step) + 1
    starts = np.linspace(0, padded - size, count).round().astype(np.int64)
    target = starts[:, None] + np.arange(size)
    cosine = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    total: NDArray[Any] = np.bincount(target.ravel(), np.tile(cosine, count), minlength=padded)
    source = np.pad(np.arange(side), (0, padded - side), mode="symmetric")[target]
    weight = (cosine / total[target]).astype(np.float32)
    return Axis(*(torch.from_numpy(part) for part in (source, target, weight)))
