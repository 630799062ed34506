"""Fields of any size by a network that was trained on small crops: overlapping tiles, smoothly blended."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lexy.errors import UserError
from lexy.networks.network import Recurrence

CHUNK = 2**16  # pixels of the tiles that go through a network together: they should stay in the cache
TILE = (128, 128)  # where a checkpoint does not know the size of its crops: the published one


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

    def cut(self, field: Tensor) -> Tensor:
        """Tiles (N, 1, h, w) of a field (H, W), row by row."""
        rows, columns = self._rows.source[:, None, :, None], self._columns.source[None, :, None, :]
        return field[rows, columns].flatten(0, 1)[:, None]

    def blend(self, tiles: Tensor) -> Tensor:
        """The field (H, W) of tiles (N, 1, h, w): their weighted mean."""
        (_, down, weight_down), (_, across, weight_across) = self._rows, self._columns
        grid = tiles.view(len(down), len(across), *self.size) * weight_down[:, None, :, None]
        grid = (grid * weight_across[None, :, None, :]).permute(0, 2, 1, 3).flatten(2)
        strips = grid.new_zeros(*grid.shape[:2], int(across.max()) + 1).index_add_(2, across.flatten(), grid)
        field = grid.new_zeros(int(down.max()) + 1, strips.shape[-1])
        return field.index_add_(0, down.flatten(), strips.flatten(0, 1))[: self.shape[0], : self.shape[1]]


class TiledNetwork:
    """A network over whole fields: `start` and `step` as networks have them, with a state for each chunk of tiles.

    A network that feeds back its mask is given, in each tile, what the blended field says of the last frame, so that
    neighbouring tiles agree on it. Nothing is changed in a network that only its first mask counts for (Move-Net).

    Chunks are computed side by side, each by one thread. Threads that share every single operation wait for each other
    after each of them, which is many times slower as soon as anything else runs on the machine.

    Parameters
    ----------
    network : Recurrence
    tiles : Tiles
    """

    def __init__(self, network: Recurrence, tiles: Tiles) -> None:
        # A quarter faster on a CPU.
        self.network: Recurrence = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.tiles = tiles
        self._chunk = max(1, CHUNK // math.prod(tiles.size))
        self._workers = ThreadPoolExecutor(torch.get_num_threads(), "tiles", torch.set_num_threads, (1,))

    @torch.inference_mode()
    def start(self, frame: Tensor, mask: Tensor | None = None) -> list[Any]:
        """States before a frame (H, W), given its mask (H, W) where the network wants one."""
        frames = self._cut(frame)
        masks = [None] * len(frames) if mask is None else self._cut(mask)
        return [self.network.start(*parts) for parts in zip(frames, masks, strict=True)]

    @torch.inference_mode()
    def step(self, states: list[Any], frame: Tensor) -> tuple[Tensor, list[Any]]:
        """Probabilities (H, W) of the next frame, and the states after it."""
        steps = list(self._workers.map(self._step, states, self._cut(frame)))
        probability = self.tiles.blend(torch.cat([logits.float().sigmoid() for logits, _ in steps])).clamp(0, 1)
        fed_back = self.network.feed_back(torch.logit(probability, eps=1e-6))
        return probability, self.with_mask([state for _, state in steps], fed_back)

    @torch.inference_mode()
    def with_mask(self, states: list[Any], mask: Tensor) -> list[Any]:
        """The states as if `mask`, (H, W) in [0, 1], had been the network's own for the last frame."""
        return [self.network.with_mask(*parts) for parts in zip(states, self._cut(mask), strict=True)]

    @torch.inference_mode()  # which holds for a single thread
    def _step(self, state: Any, frames: Tensor) -> tuple[Tensor, Any]:
        return self.network.step(state, frames)

    def _cut(self, field: Tensor) -> list[Tensor]:
        tiles = self.tiles.cut(field).contiguous(memory_format=torch.channels_last)
        return list(tiles.split(self._chunk))


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
