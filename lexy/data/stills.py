"""LightningDataModules of stills: Human Protein Atlas crops from a store, and the embedded phantom."""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from annotated_types import Ge, Gt
from torch.utils.data import DataLoader, Dataset, Sampler

import lexy._torchvision  # noqa: F401  pytorch-lightning cannot be imported beside a CPU torch without it
from lexy.clip import Clip
from lexy.data.crops import CropRules, crop_field
from lexy.data.nucleus_size import evenly, sizes
from lexy.data.phantom import DIAMETER, phantom_field
from lexy.data.splits import SPLITS, fold_groups, split_groups
from lexy.data.store import Stills, read_store, store_info
from lexy.errors import UserError
from lexy.files import fingerprint
from lexy.randomness import generator

from pytorch_lightning import LightningDataModule  # isort: skip


class StillClips(Dataset[Clip]):
    """Stills as clips of one frame; an item is a whole batch, made by tensor indexing.

    Parameters
    ----------
    stills : Stills
    """

    def __init__(self, stills: Stills) -> None:
        self.images, self.masks = stills.images.numpy(), stills.masks.numpy()  # torch cannot index uint16 everywhere
        self.videos, self.groups = stills.table["crop"].tolist(), stills.table["field"].tolist()
        self.scale = float(np.iinfo(self.images.dtype).max)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Sequence[int]) -> Clip:
        frames = torch.from_numpy(self.images[rows].astype(np.float32)) / self.scale
        return {
            "frames": frames[:, None, None],
            "masks": torch.from_numpy(self.masks[rows].astype(np.float32))[:, None, None],
            "labelled": torch.ones(len(rows), 1, dtype=torch.bool),
            "video": [self.videos[row] for row in rows],
            "group": [self.groups[row] for row in rows],
            "frame": torch.zeros(len(rows), 1, dtype=torch.int64),
        }


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
        """Lightning says here which epoch begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(math.ceil(len(self.rows) / self.batch_size) / self._processes()[0])

    def __iter__(self) -> Iterator[list[int]]:
        rows = self.rows
        if self.seed is not None:
            order = torch.randperm(len(rows), generator=generator(self.seed, self.epoch)).tolist()
            rows = [rows[index] for index in order]
        batches = [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]
        count, rank = self._processes()
        first, self.done = self.done, 0
        for index in range(first, len(self)):  # every process gets as many, or they would wait for each other for ever
            yield batches[(index * count + rank) % len(batches)]

    def _processes(self) -> tuple[int, int]:
        """How many share the batches, and which of them this one is."""
        if not (self.shared and torch.distributed.is_initialized()):
            return 1, 0
        return torch.distributed.get_world_size(), torch.distributed.get_rank()


def to_device(batch: Any, device: torch.device) -> Any:
    """Move the tensors of a batch; ids stay lists."""
    return {
        key: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for key, value in batch.items()
    }


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


class StillsData(LightningDataModule, ABC):
    """Train, validation and test loaders over labelled stills, split by field.

    Parameters
    ----------
    batch_size : int
        Clips in a batch of training; validation and test take them too.
    fold : int or None
        None: the store's own split. k: fold k is the test, fold k + 1 (the first one after the last) is for validation,
        the others are for training.
    seed : int
        Of the order of training.
    shuffle : bool
        Whether training draws its order anew in each epoch.

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
    sequences: bool = False

    def __init__(self, batch_size: int, fold: int | None, seed: int, shuffle: bool) -> None:
        super().__init__()
        self.batch_size, self.fold, self.seed, self.shuffle = batch_size, fold, seed, shuffle

    @abstractmethod
    def read(self) -> Stills:
        """All stills, of every split."""

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 of what the stills are, without reading them."""

    @functools.cached_property
    def stills(self) -> Stills:
        """All stills, read once."""
        return self.read()

    def describe(self) -> dict[str, Any]:
        """What a checkpoint says about the data that it was trained on and chosen by; plain values."""
        train = np.array(self.rows("train"))
        return {
            "name": self.name,
            "fingerprint": self.fingerprint(),
            "fold": self.fold,
            "groups": sorted(self.groups("train") | self.groups("val")),
            **sizes(self.stills.masks.numpy()[train[evenly(len(train))]] > 0),
        }

    def groups(self, split: str) -> set[str]:
        """Names of the fields of a split."""
        return set(self.stills.table["field"].iloc[self.rows(split)])

    def rows(self, split: str) -> list[int]:
        """Row numbers of a split ('train', 'val' or 'test').

        Raises
        ------
        UserError
            The split is empty, or there is no such fold.
        """
        table = self.stills.table
        rows = np.flatnonzero(self._splits(table) == split).tolist()
        if not rows:
            raise UserError(f"data={self.name}: the {split} split is empty ({table['field'].nunique()} fields in all).")
        return rows

    def _splits(self, table: pd.DataFrame) -> pd.Series:
        if self.fold is None:
            return table["split"]
        folds = int(table["fold"].max()) + 1
        if self.fold >= folds:
            raise UserError(f"data.fold={self.fold}: there are {folds} folds, numbered from 0 to {folds - 1}.")
        place = (table["fold"] - self.fold) % folds
        return place.map(lambda distance: SPLITS[2] if distance == 0 else SPLITS[1] if distance == 1 else SPLITS[0])

    def loader(self, split: str, *, shuffle: bool = False, shared: bool = False) -> "DataLoader[Clip]":
        """Clips of a split in batches, in the store's order or shuffled anew in each epoch; see `Batches`."""
        batches = Batches(self.rows(split), self.batch_size, self.seed if shuffle else None, shared=shared)
        return DataLoader(StillClips(self.stills), batch_size=None, sampler=batches)

    def train_dataloader(self) -> "DataLoader[Clip]":
        """The training split."""
        return self.loader("train", shuffle=self.shuffle, shared=True)

    def val_dataloader(self) -> "DataLoader[Clip]":
        """In the store's order."""
        return self.loader("val", shared=True)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """See `to_device`."""
        return to_device(batch, device)


class HPAStills(StillsData):
    """Human Protein Atlas stills from a store that `lexy-prepare data=hpa` made.

    Parameters
    ----------
    store : str
        The store's folder.
    batch_size, fold, seed, shuffle
        See `StillsData`.
    """

    name = "hpa"

    def __init__(
        self,
        store: str,
        batch_size: Annotated[int, Gt(0)] = 32,
        fold: Annotated[int, Ge(0)] | None = None,
        seed: Annotated[int, Ge(0)] = 0,
        shuffle: bool = True,
    ) -> None:
        super().__init__(batch_size, fold, seed, shuffle)
        self.store = store

    def read(self) -> Stills:
        """See `StillsData.read`."""
        return read_store(self.store)

    def fingerprint(self) -> str:
        """See `StillsData.fingerprint`: the SHA-256 of the store's manifest."""
        return str(store_info(self.store)["manifest_sha256"])


class PhantomStills(StillsData):
    """The embedded phantom: generated fields, cropped by the published rules. For the demo and the tests.

    Parameters
    ----------
    fields : int
        Number of fields.
    phantom_seed : int
        Of the generator; the phantom is a function of it alone.
    size : int
        Height and width of a field, pixels.
    crop_size : int
        Height and width of a crop, pixels.
    folds : int
        Number of folds that `fold` counts in.
    batch_size, fold, seed, shuffle
        See `StillsData`.
    """

    name = "phantom"
    embedded = True

    def __init__(
        self,
        fields: Annotated[int, Ge(3)] = 40,
        phantom_seed: Annotated[int, Ge(0)] = 0,
        size: Annotated[int, Ge(64)] = 256,
        crop_size: Annotated[int, Ge(32)] = 128,
        folds: Annotated[int, Ge(3)] = 5,
        batch_size: Annotated[int, Gt(0)] = 32,
        fold: Annotated[int, Ge(0)] | None = None,
        seed: Annotated[int, Ge(0)] = 0,
        shuffle: bool = True,
    ) -> None:
        super().__init__(batch_size, fold, seed, shuffle)
        self.settings = {
            "fields": fields, "seed": phantom_seed, "size": size, "crop_size": crop_size, "folds": folds
        }  # fmt: skip

    def read(self) -> Stills:
        """See `StillsData.read`."""
        return _phantom(**self.settings)

    def fingerprint(self) -> str:
        """See `StillsData.fingerprint`: of the generator's settings."""
        return fingerprint({"phantom": self.settings})


@functools.lru_cache(maxsize=2)  # the jobs of a sweep share a process
def _phantom(fields: int, seed: int, size: int, crop_size: int, folds: int) -> Stills:
    scale = size / 256  # nuclei are as large in their field as in the published crops
    rules = CropRules(field_size=size, crop_size=crop_size, min_area=max(1, round(100 * scale**2)), max_nuclei=64)
    images, masks, rows = [], [], []
    for index in range(fields):
        field = phantom_field(seed, index, size=size, diameter=DIAMETER * scale)
        assert field.labels is not None
        crops = crop_field(field.protein, field.labels, rules)
        images.append(crops.images)
        masks.append(crops.masks)
        rows += [{"crop": f"{field.name}#{row['nucleus']}", "field": field.name, **row} for row in crops.rows]
    table = pd.DataFrame(rows)
    table["split"] = table["field"].map(split_groups(table["field"], (0.6, 0.2, 0.2), seed))
    table["fold"] = table["field"].map(fold_groups(table["field"], folds, seed))
    return Stills(torch.from_numpy(np.concatenate(images)), torch.from_numpy(np.concatenate(masks)), table, {})
