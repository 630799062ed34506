"""Datasets of stills: Human Protein Atlas crops from a store, and the embedded phantom."""

import functools
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from annotated_types import Ge, Gt

from lexy.clip import Clip
from lexy.data import nucleus_size
from lexy.data.base import ClipData
from lexy.data.crops import CropRules, crop_field
from lexy.data.phantom import DIAMETER, phantom_field
from lexy.data.splits import fold_groups, split_groups, splits_of_folds
from lexy.data.store import Stills, read_store, store_info
from lexy.files import fingerprint
from lexy.images.intensity import Intensity, RoundedPercentiles


class StillClips:
    """Stills as clips of one frame; an item is a whole batch, made by tensor indexing.

    Frames are the crops, which were divided by their own maximum, in [0, 1].

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


class StillsData(ClipData):
    """A dataset of labelled stills with their own split and folds, by field.

    Derive from it, give it a `name`, and write `read` and `fingerprint`. Parameters as for `ClipData`.
    """

    sequences = False

    @property
    def intensity(self) -> Intensity:
        """Percentiles of the whole video: the nearest that a video has to a crop divided by its own maximum."""
        return RoundedPercentiles()

    @abstractmethod
    def read(self) -> Stills:
        """Return all stills, of every split."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return the SHA-256 of what the stills are, without reading them."""

    @functools.cached_property
    def stills(self) -> Stills:
        """All stills, read once."""
        return self.read()

    def sizes(self) -> dict[str, Any]:
        """Return how large nuclei and crops of training are; of evenly spaced ones."""
        train = np.array(self.rows("train"))
        chosen = train[nucleus_size.evenly(len(train))]
        return nucleus_size.sizes(self.stills.masks.numpy()[chosen] > 0)

    def row_groups(self) -> list[str]:
        """Return the field of each still."""
        return self.stills.table["field"].tolist()

    def row_splits(self) -> list[str]:
        """Return the split of each still; UserError if there is no such fold."""
        table = self.stills.table
        if self.fold is None:
            return table["split"].tolist()
        by_fold = splits_of_folds(self.fold, int(table["fold"].max()) + 1)
        return [by_fold[at] for at in table["fold"].tolist()]

    def clip(self, numbers: Sequence[int]) -> Clip:
        """Return a batch of stills by their rows."""
        return self._clips[numbers]

    @functools.cached_property
    def _clips(self) -> StillClips:
        return StillClips(self.stills)


class HPAStills(StillsData):
    """Human Protein Atlas stills from a store that `lexy-prepare data=hpa` made.

    Parameters
    ----------
    store : str
        The store's folder.
    batch_size, fold, seed, shuffle
        See `ClipData`.
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
        """Return the stills of the store."""
        return read_store(self.store)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the store's manifest."""
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
        See `ClipData`.
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
        """Return the generated stills."""
        return _phantom(**self.settings)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the generator's settings."""
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
