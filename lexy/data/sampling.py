"""Which clips make a batch, as functions of seed and epoch, and how batches are made and moved."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from lexy.randomness import generator


class Batches(Sampler[list[int]]):
    """Batches of row numbers, in an order that is a function of (seed, epoch).

    Parameters
    ----------
    rows : sequence of int
    batch_size : int
    seed : int or None
        None keeps the order.
    shared : bool
        Whether the processes of a distributed training share the batches; else each gets all of them.
    """

    def __init__(self, rows: Sequence[int], batch_size: int, seed: int | None = None, *, shared: bool = False) -> None:
        self.rows, self.batch_size, self.seed, self.epoch = list(rows), batch_size, seed, 0
        self.shared = shared
        self.done = 0  # batches of the epoch that training had seen when it was interrupted

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that begins; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(math.ceil(len(self.rows) / self.batch_size) / self._processes()[0])

    def __iter__(self) -> Iterator[list[int]]:
        rows = self.rows
        if self.seed is not None:
            order = torch.randperm(len(rows), generator=generator("order of rows", self.seed, self.epoch)).tolist()
            rows = [rows[index] for index in order]
        batches = [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]
        count, rank = self._processes()
        first, self.done = self.done, 0
        for index in range(first, len(self)):  # every process gets as many, or they would wait for each other for ever
            yield batches[(index * count + rank) % len(batches)]

    def _processes(self) -> tuple[int, int]:
        """Return how many processes share the batches, and the number of this one."""
        if not (self.shared and torch.distributed.is_initialized()):
            return 1, 0
        return torch.distributed.get_world_size(), torch.distributed.get_rank()


class Numbers(Batches):
    """Batches of the numbers of clips that training draws: an endless epoch goes on where the one before it ended.

    Parameters
    ----------
    first, count : int
        An epoch has so many numbers; the first epoch begins with `first`.
    batch_size : int
    endless : bool
        False: every epoch has the numbers of the first one.
    """

    def __init__(self, first: int, count: int, batch_size: int, *, endless: bool) -> None:
        super().__init__(range(first, first + count), batch_size, shared=True)
        self.endless = endless

    def __iter__(self) -> Iterator[list[int]]:
        before = self.epoch * len(self.rows) if self.endless else 0
        for batch in super().__iter__():
            yield [before + number for number in batch]


def drawn_row(rows: Sequence[int], number: int, seed: int) -> int:
    """Return the row of a drawn clip: each row is drawn once, in random order, before any is drawn again."""
    turn, place = divmod(number, len(rows))
    return rows[int(torch.randperm(len(rows), generator=generator("order of draws", seed, turn))[place])]


def batch_loader(make: Callable[[Sequence[int]], Any], batches: Batches) -> "DataLoader[Any]":
    """Return a loader whose items are the batches that `make` makes of numbers, each as a whole."""
    return DataLoader(_Made(make), batch_size=None, sampler=batches)


class _Made(Dataset[Any]):
    """Batches by the numbers of their clips."""

    def __init__(self, make: Callable[[Sequence[int]], Any]) -> None:
        self.make = make

    def __getitem__(self, numbers: Sequence[int]) -> Any:
        return self.make(numbers)


def to_device(batch: Any, device: torch.device) -> Any:
    """Move the tensors of a batch to a device; ids stay lists."""
    return {
        key: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for key, value in batch.items()
    }
