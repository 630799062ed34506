"""What every dataset offers to the commands: clips split by group, in batches, and what is kept of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from lexy.clip import Clip
from lexy.data.sampling import Batches, batch_loader, to_device
from lexy.errors import UserError
from lexy.images.intensity import Intensity, from_settings


class ClipData(LightningDataModule, ABC):
    """A dataset of labelled clips, split by group. Base class of all datasets.

    Clips have row numbers, from 0. Derive from `StillsData` for single images and from `VideoData` for videos: they
    leave less to write.

    Parameters
    ----------
    batch_size : int
        Clips in a batch of training; validation and test take them too.
    fold : int or None
        None: the dataset's own split. k: fold k is the test, fold k + 1 (the first one after the last) is for
        validation, the others are for training.
    seed : int
        Of the order, or the draws, of training.
    shuffle : bool
        Whether training draws its order, or its clips, anew in each epoch.

    Attributes
    ----------
    name : str
        What tables call the data.
    embedded : bool
        True for generated data, so that no result on it is taken for one on cells.
    sequences : bool
        Whether clips have several frames.
    """

    name: str
    embedded: bool = False
    sequences: bool = True

    def __init__(self, batch_size: int, fold: int | None, seed: int, shuffle: bool) -> None:
        super().__init__()
        self.batch_size, self.fold, self.seed, self.shuffle = batch_size, fold, seed, shuffle

    @property
    @abstractmethod
    def intensity(self) -> Intensity:
        """How `lexy-predict` scales the frames of a video for a network that was trained on these clips."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return the SHA-256 of what the fixed clips are; it makes runs on other data other runs."""

    @abstractmethod
    def row_groups(self) -> Sequence[str]:
        """Return the group of each row: what is independent of each other, such as a field or a cell."""

    @abstractmethod
    def row_splits(self) -> Sequence[str]:
        """Return the split of each row, 'train', 'val' or 'test'; all rows of a group have the same one.

        Raises
        ------
        UserError
            There is no such fold, or there are too few groups.
        """

    @abstractmethod
    def sizes(self) -> dict[str, Any]:
        """Return how large nuclei and frames of training are: see `lexy.data.nucleus_size.sizes`."""

    @abstractmethod
    def clip(self, numbers: Sequence[int]) -> Clip:
        """Return a batch of fixed clips by their numbers: rows, unless `fixed` says otherwise."""

    def describe(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the data that it was trained on and chosen by; plain values."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint(),
            "fold": self.fold,
            "groups": sorted(self.groups("train") | self.groups("val")),
            "contents": sorted(self.contents("train") | self.contents("val")),
            "intensity": from_settings(self.intensity.settings()).settings(),  # what prediction will rebuild
            **self.sizes(),
        }

    def rows(self, split: str) -> list[int]:
        """Return the row numbers of a split ('train', 'val' or 'test').

        Raises
        ------
        UserError
            The split is empty, or as for `row_splits`.
        """
        rows = [row for row, own in enumerate(self.row_splits()) if own == split]
        if not rows:
            count = len(set(self.row_groups()))
            raise UserError(f"data={self.name}: the {split} split is empty ({count} groups in all).")
        return rows

    def groups(self, split: str) -> set[str]:
        """Return the names of the groups of a split."""
        groups = self.row_groups()
        return {groups[row] for row in self.rows(split)}

    def contents(self, split: str) -> set[str]:
        """Return digests of a split's frames, by which they are known under any name; none where names suffice."""
        return set()

    def without_first_mask(self) -> list[str]:
        """Return the names of videos whose first frame has no mask."""
        return []

    def fixed(self, split: str) -> list[int]:
        """Return the numbers of the fixed clips of a split, in order."""
        return self.rows(split)

    def loader(self, split: str) -> "DataLoader[Clip]":
        """Return the fixed clips of a split in batches, in order, on the CPU."""
        return batch_loader(self.clip, Batches(self.fixed(split), self.batch_size))

    def train_dataloader(self) -> "DataLoader[Any]":
        """Return the clips of training; `shuffle` draws their order anew in each epoch."""
        seed = self.seed if self.shuffle else None
        return batch_loader(self.clip, Batches(self.rows("train"), self.batch_size, seed, shared=True))

    def val_dataloader(self) -> "DataLoader[Any]":
        """Return the fixed clips of validation, in order."""
        return batch_loader(self.clip, Batches(self.fixed("val"), self.batch_size, shared=True))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move the tensors of a batch to a device; ids stay lists."""
        return to_device(batch, device)


def checked(data: Any) -> ClipData:
    """Return what a config's `data` built, if it is a dataset; raise UserError if it is anything else."""
    if not isinstance(data, ClipData):
        name = f"{type(data).__module__}.{type(data).__qualname__}"
        raise UserError(
            f"data: {name} is no dataset of lexy. Derive it from lexy.data.videos.base.VideoData (videos), "
            "lexy.data.stills.StillsData (single images) or lexy.data.base.ClipData."
        )
    return data
