"""Stills drawn by hand: discs on a cytoplasm."""

import torch
from torch import Tensor


def disc(row: float, column: float, radius: float, size: int = 128) -> Tensor:
    at = torch.arange(size, dtype=torch.float32)
    return (((at[:, None] - row) ** 2 + (at - column) ** 2) <= radius**2).float()[None, None]


def cell(nucleus: float = 0.6, cytoplasm: float = 0.3, size: int = 128) -> tuple[Tensor, Tensor]:
    """A round cell with a round nucleus, in the middle."""
    middle = (size - 1) / 2
    mask = disc(middle, middle, 0.15 * size, size)
    return mask * nucleus + (disc(middle, middle, 0.3 * size, size) - mask) * cytoplasm, mask
