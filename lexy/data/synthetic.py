"""The dataset of synthetic sequences: stills in, clips out, made on the device that trains."""

import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.utils.data import DataLoader

from lexy.clip import Clip
from lexy.data.base import ClipData
from lexy.data.sampling import Batches, Numbers, batch_loader, drawn_row
from lexy.data.sequences.protocol import Protocol
from lexy.data.stills import StillsData
from lexy.errors import UserError
from lexy.files import fingerprint
from lexy.images.intensity import Intensity

SELECTED_AT_ONCE = 64


class SyntheticSequences(ClipData):
    """Clips made from stills. Training draws endlessly; validation and test have fixed clips.

    Clips are numbered: first those of each still for evaluation, then those of training, without end. A clip is a
    function of its still, its number and a seed.

    Parameters
    ----------
    stills : callable
        A `StillsData` class or a `functools.partial` of one; called with `fold`.
    protocol : Protocol
        How a still becomes a clip, and which stills can.
    clips_per_epoch : int
        Clips that an epoch of training draws.
    clips_per_still : int
        Fixed clips that validation and test make from each still.
    batch_size : int
        Clips in a batch of training; validation and test take them too.
    fold : int or None
        See `ClipData`.
    seed : int
        Of the clips of training.
    clip_seed : int
        Of the fixed clips, so that runs with different seeds are tested alike.
    shuffle : bool
        False: every epoch of training has the clips of the first one.
    """

    name = "synthetic"

    def __init__(
        self,
        stills: Callable[..., StillsData],
        protocol: Protocol,
        clips_per_epoch: Annotated[int, Gt(0)] = 256,
        clips_per_still: Annotated[int, Gt(0)] = 1,
        batch_size: Annotated[int, Gt(0)] = 8,
        fold: Annotated[int, Ge(0)] | None = None,
        seed: Annotated[int, Ge(0)] = 0,
        clip_seed: Annotated[int, Ge(0)] = 0,
        shuffle: bool = True,
    ) -> None:
        super().__init__(batch_size, fold, seed, shuffle)
        self.source, self.protocol = stills(fold=fold), protocol
        self.embedded = self.source.embedded
        self.clips_per_epoch, self.clips_per_still, self.clip_seed = clips_per_epoch, clips_per_still, clip_seed

    @property
    def intensity(self) -> Intensity:
        """As of the stills that the clips are made of."""
        return self.source.intensity

    def fingerprint(self) -> str:
        """Return the SHA-256 of what the fixed clips are, without making them."""
        return fingerprint(self.settings())

    def settings(self) -> dict[str, Any]:
        """Return everything that decides what the fixed clips are, as plain values."""
        return {
            "stills": self.source.fingerprint(),
            "protocol": self.protocol.settings(),
            "clips_per_still": self.clips_per_still,
            "clip_seed": self.clip_seed,
        }

    def describe(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the data; the groups are those of all its stills, used or not."""
        return super().describe() | {"groups": sorted(self.source.groups("train") | self.source.groups("val"))}

    def sizes(self) -> dict[str, Any]:
        """Return how large nuclei and crops of the stills of training are."""
        return self.source.sizes()

    def row_groups(self) -> Sequence[str]:
        """Return the field of each still."""
        return self.source.row_groups()

    def row_splits(self) -> Sequence[str]:
        """Return the split of each still."""
        return self.source.row_splits()

    def rows(self, split: str) -> list[int]:
        """Return the row numbers of the stills of a split that the protocol can use.

        Raises
        ------
        UserError
            There are none, or there is no such fold.
        """
        every = self.source.rows(split)
        rows = [row for row in every if self.usable[row]]
        if not rows:
            raise UserError(
                f"data=synthetic: data.protocol={type(self.protocol).__name__} can use none of the {len(every)} stills "
                f"of the {split} split (data.stills={self.source.name}). Give more stills, another data.fold, or "
                "another data/protocol or looser limits in data.protocol."
            )
        return rows

    @functools.cached_property
    def usable(self) -> Tensor:
        """Which stills the protocol can use: bool, one for each row of the stills' table."""
        count, chosen = len(self.source.stills.table), []
        for start in range(0, count, SELECTED_AT_ONCE):
            part = self.source.clip(range(start, min(start + SELECTED_AT_ONCE, count)))
            chosen.append(self.protocol.select(part["frames"][:, 0], part["masks"][:, 0]))
        return torch.cat(chosen)

    def fixed(self, split: str) -> list[int]:
        """Return the numbers of the fixed clips of a split, in the order of the stills."""
        return [row * self.clips_per_still + index for row in self.rows(split) for index in range(self.clips_per_still)]

    def clip(self, numbers: Sequence[int]) -> Clip:
        """Return a batch of clips by their numbers, made on the CPU."""
        return self.make(self.numbered(numbers))

    def train_dataloader(self) -> "DataLoader[Any]":
        """Return stills with the numbers of the clips to be made of them; see `on_after_batch_transfer`."""
        batches = Numbers(self._first_drawn, self.clips_per_epoch, self.batch_size, endless=self.shuffle)
        return batch_loader(self.numbered, batches)

    def val_dataloader(self) -> "DataLoader[Any]":
        """Return the stills of the fixed clips of validation likewise."""
        return batch_loader(self.numbered, Batches(self.fixed("val"), self.batch_size, shared=True))

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Clip:
        """Make the clips, on the device that the stills lie on by now."""
        return self.make(batch)

    @torch.no_grad()
    def make(self, batch: dict[str, Any]) -> Clip:
        """Make the clips of a batch that `numbered` gave."""
        made = self.protocol.clips(batch["frames"][:, 0], batch["masks"][:, 0], batch["seed"], batch["number"])
        count, time = made.contrast.shape
        return {
            "frames": made.frames,
            "masks": made.masks,
            "labelled": torch.ones_like(made.contrast, dtype=torch.bool),
            "video": batch["video"],
            "group": batch["group"],
            "frame": torch.arange(time, device=made.frames.device).expand(count, -1),
            "contrast": made.contrast,
        }

    def numbered(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Return the stills of the clips with these numbers, all of them fixed ones or all of training."""
        drawn = numbers[0] >= self._first_drawn
        rows = [
            drawn_row(self._training_rows, number - self._first_drawn, self.seed)
            if drawn
            else number // self.clips_per_still
            for number in numbers
        ]
        still: dict[str, Any] = {**self.source.clip(rows)}
        videos = [f"{video}~{number}" for video, number in zip(still["video"], numbers, strict=True)]
        seed = self.seed if drawn else self.clip_seed
        return still | {"video": videos, "number": list(numbers), "seed": seed}

    @property
    def _first_drawn(self) -> int:
        """The number of the first clip of training."""
        return len(self.source.stills.table) * self.clips_per_still

    @functools.cached_property
    def _training_rows(self) -> list[int]:
        return self.rows("train")
