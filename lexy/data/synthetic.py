"""The LightningDataModule of synthetic sequences: stills in, clips out, made on the device that trains."""

import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lexy.clip import Clip
from lexy.data.sequences.protocol import Protocol
from lexy.data.stills import Batches, Numbers, StillClips, StillsData
from lexy.errors import UserError
from lexy.files import fingerprint
from lexy.randomness import generator

SELECTED_AT_ONCE = 64


class SyntheticSequences(LightningDataModule):
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
        See `StillsData`.
    seed : int
        Of the clips of training.
    clip_seed : int
        Of the fixed clips, so that runs with different seeds are tested alike.
    shuffle : bool
        False: every epoch of training has the clips of the first one.

    Attributes
    ----------
    name : str
        What tables call the data.
    embedded : bool
        Whether the stills are generated ones.
    sequences : bool
        True: clips have several frames.
    """

    name = "synthetic"
    sequences = True

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
        super().__init__()
        self.source, self.protocol, self.fold = stills(fold=fold), protocol, fold
        self.embedded = self.source.embedded
        self.clips_per_epoch, self.clips_per_still, self.batch_size = clips_per_epoch, clips_per_still, batch_size
        self.seed, self.clip_seed, self.shuffle = seed, clip_seed, shuffle

    def fingerprint(self) -> str:
        """SHA-256 of what the fixed clips are, without making them."""
        return fingerprint(self.settings())

    def settings(self) -> dict[str, Any]:
        """Everything that decides what the fixed clips are, as plain values."""
        return {
            "stills": self.source.fingerprint(),
            "protocol": self.protocol.settings(),
            "clips_per_still": self.clips_per_still,
            "clip_seed": self.clip_seed,
        }

    def describe(self) -> dict[str, Any]:
        """See `StillsData.describe`; the groups are those of all training and validation stills, used or not."""
        self.rows("train"), self.rows("val")
        return self.source.describe() | {"name": self.name, "fingerprint": self.fingerprint()}

    def groups(self, split: str) -> set[str]:
        """Names of the fields whose stills are used in a split."""
        return set(self.source.stills.table["field"].iloc[self.rows(split)])

    def rows(self, split: str) -> list[int]:
        """Row numbers of the stills of a split that the protocol can use.

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
        clips, chosen = self._stills, []
        for start in range(0, len(clips), SELECTED_AT_ONCE):
            part = clips[range(start, min(start + SELECTED_AT_ONCE, len(clips)))]
            chosen.append(self.protocol.select(part["frames"][:, 0], part["masks"][:, 0]))
        return torch.cat(chosen)

    def loader(self, split: str) -> "DataLoader[Clip]":
        """The fixed clips of a split in batches, in the order of the stills, made on the CPU."""
        return DataLoader(_Made(self), batch_size=None, sampler=self._fixed(split, shared=False))

    def train_dataloader(self) -> "DataLoader[Any]":
        """Stills and the numbers of the clips to be made of them; see `on_after_batch_transfer`."""
        fixed = len(self._stills) * self.clips_per_still
        batches = Numbers(fixed, self.clips_per_epoch, self.batch_size, endless=self.shuffle)
        return DataLoader(_Numbered(self), batch_size=None, sampler=batches)

    def val_dataloader(self) -> "DataLoader[Any]":
        """Likewise, of the fixed clips of the validation split."""
        return DataLoader(_Numbered(self), batch_size=None, sampler=self._fixed("val", shared=True))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move the tensors; ids stay lists."""
        return self.source.transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Clip:
        """Make the clips, on the device that the stills lie on by now."""
        return self.make(batch)

    @torch.no_grad()
    def make(self, batch: dict[str, Any]) -> Clip:
        """From a batch of stills with the numbers and the seed of their clips to the clips."""
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
        """Stills of the clips with these numbers, all of them fixed ones or all of training."""
        fixed = len(self._stills) * self.clips_per_still
        trained = numbers[0] >= fixed
        rows = [self._row(number - fixed) if trained else number // self.clips_per_still for number in numbers]
        still: dict[str, Any] = {**self._stills[rows]}
        videos = [f"{video}~{number}" for video, number in zip(still["video"], numbers, strict=True)]
        seed = self.seed if trained else self.clip_seed
        return still | {"video": videos, "number": list(numbers), "seed": seed}

    def _row(self, number: int) -> int:
        """The still of a clip of training: each is used once before any is used again."""
        rows = self._training_rows
        turn, place = divmod(number, len(rows))
        return rows[int(torch.randperm(len(rows), generator=generator(self.seed, turn, 1))[place])]

    def _fixed(self, split: str, *, shared: bool) -> Batches:
        numbers = [
            row * self.clips_per_still + index for row in self.rows(split) for index in range(self.clips_per_still)
        ]
        return Batches(numbers, self.batch_size, shared=shared)

    @functools.cached_property
    def _stills(self) -> StillClips:
        return StillClips(self.source.stills)

    @functools.cached_property
    def _training_rows(self) -> list[int]:
        return self.rows("train")


class _Numbered(Dataset[dict[str, Any]]):
    """Stills by the numbers of their clips; an item is a batch."""

    def __init__(self, data: SyntheticSequences) -> None:
        self.data = data

    def __getitem__(self, numbers: Sequence[int]) -> dict[str, Any]:
        return self.data.numbered(numbers)


class _Made(Dataset[Clip]):
    """Clips by their numbers; an item is a batch."""

    def __init__(self, data: SyntheticSequences) -> None:
        self.data = data

    def __getitem__(self, numbers: Sequence[int]) -> Clip:
        return self.data.make(self.data.numbered(numbers))
