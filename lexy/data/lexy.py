"""The LightningDataModule of real videos: one clip for each cell, cross-validated by cell."""

import functools
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from lexy.clip import Clip
from lexy.data.nucleus_size import sizes
from lexy.data.splits import SPLITS, fold_groups, split_groups
from lexy.data.stills import Batches, Numbers, to_device
from lexy.data.videos.layouts import Layout
from lexy.data.videos.preparation import Preparation, Prepared
from lexy.data.videos.recording import Recording
from lexy.errors import UserError
from lexy.files import fingerprint
from lexy.images.nc_ratio import contrast
from lexy.randomness import generator


class LexyVideos(LightningDataModule):
    """Videos of single cells with reference masks. Training draws windows; validation and test have whole videos.

    Parameters
    ----------
    folder : str
        Where the videos lie.
    layout : Layout
        How they lie there.
    preparation : Preparation
        What is made of them.
    folds : int or None
        Number of folds, dealt by cell; None: as many as cells, which leaves one cell out.
    fold : int or None
        k: the cells of fold k are the test; those of fold k + 1 (the first one after the last) choose the epoch; the
        others train. None: the cells are shared out by `fractions`.
    fractions : tuple of three float
        Shares of train, val and test.
    split_seed : int
        Of folds and shares.
    clips_per_epoch : int
        Windows that an epoch of training draws; every video is used as often, give or take one.
    frames : int or None
        Longest window; None: as long as the shortest training video, which no window exceeds: training sees no padding.
    batch_size : int
        Clips in a batch.
    seed : int
        Of the windows. A window is a function of (seed, its number).
    shuffle : bool
        False: every epoch has the windows of the first one.

    Attributes
    ----------
    name : str
        What tables call the data.
    embedded : bool
        False: these are real cells.
    sequences : bool
        True: clips have several frames.
    """

    name = "lexy"
    embedded = False
    sequences = True

    def __init__(
        self,
        folder: str,
        layout: Layout,
        preparation: Preparation,
        folds: Annotated[int, Ge(3)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        split_seed: Annotated[int, Ge(0)] = 0,
        clips_per_epoch: Annotated[int, Gt(0)] = 32,
        frames: Annotated[int, Ge(2)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 8,
        seed: Annotated[int, Ge(0)] = 0,
        shuffle: bool = True,
    ) -> None:
        super().__init__()
        self.folder, self.layout, self.preparation = Path(folder), layout, preparation
        self.folds, self.fold, self.fractions, self.split_seed = folds, fold, fractions, split_seed
        self.clips_per_epoch, self.frames, self.batch_size = clips_per_epoch, frames, batch_size
        self.seed, self.shuffle = seed, shuffle

    @functools.cached_property
    def recordings(self) -> list[Recording]:
        """All videos, read once."""
        found = self.layout.recordings(self.folder)
        if len(found) < 3:
            raise UserError(
                f"data.folder={str(self.folder)!r} has {len(found)} videos, train, val and test need three."
            )
        return found

    @functools.cached_property
    def prepared(self) -> list[Prepared]:
        """What networks see of each video."""
        return [self.preparation(recording) for recording in self.recordings]

    def fingerprint(self) -> str:
        """SHA-256 of the videos, their preparation and the split."""
        return fingerprint(self.settings())

    def settings(self) -> dict[str, Any]:
        """Everything that decides what the clips of validation and test are, as plain values."""
        return {
            "videos": self._digests,
            "preparation": self.preparation.settings(),
            "splits": self.splits(),
        }

    def describe(self) -> dict[str, Any]:
        """What a checkpoint says about the data that it was trained on and chosen by; plain values."""
        rows = self.rows("train")
        known = [row for row in rows if not math.isnan(self.prepared[row].pixel_size)]
        masks = np.concatenate([self.prepared[row].masks[self.recordings[row].labelled] for row in rows])
        return {
            "name": self.name,
            "fingerprint": self.fingerprint(),
            "fold": self.fold,
            "groups": sorted(self.groups("train") | self.groups("val")),
            "contents": sorted(self.contents("train") | self.contents("val")),
            "splits": self.splits(),
            **sizes(masks, float(np.mean([self.prepared[row].pixel_size for row in known])) if known else math.nan),
        }

    def contents(self, split: str) -> set[str]:
        """SHA-256 of the frames of the videos of a split, by which they are known under any name."""
        frames = (np.ascontiguousarray(self.recordings[row].frames) for row in self.rows(split))
        return {hashlib.sha256(array.tobytes()).hexdigest() for array in frames}

    def splits(self) -> dict[str, str]:
        """Every cell's split: train, val or test.

        Raises
        ------
        UserError
            There are too few cells, or there is no such fold.
        """
        cells = [recording.name for recording in self.recordings]
        if self.fold is None:
            return split_groups(cells, self.fractions, self.split_seed)
        folds = len(cells) if self.folds is None else self.folds
        if self.fold >= folds:
            raise UserError(f"data.fold={self.fold}: there are {folds} folds, numbered from 0 to {folds - 1}.")
        dealt = fold_groups(cells, folds, self.split_seed)
        if self.folds is None:  # left out one by one in the order of their names: fold 0 is the first cell
            dealt = {cell: at for at, cell in enumerate(cells)}
        by_distance = [SPLITS[2], SPLITS[1], *[SPLITS[0]] * folds]  # from the test fold
        return {cell: by_distance[(at - self.fold) % folds] for cell, at in dealt.items()}

    def groups(self, split: str) -> set[str]:
        """Names of the cells of a split."""
        return {self.recordings[row].name for row in self.rows(split)}

    def rows(self, split: str) -> list[int]:
        """Positions of the videos of a split; UserError if there are none."""
        splits = self.splits()
        rows = [row for row, recording in enumerate(self.recordings) if splits[recording.name] == split]
        if not rows:
            raise UserError(f"data=lexy: the {split} split is empty ({len(splits)} cells in all).")
        return rows

    def loader(self, split: str) -> "DataLoader[Clip]":
        """Whole videos of a split in batches, in the order of their names."""
        batches = Batches(self.rows(split), self.batch_size)
        return DataLoader(_Videos(self), batch_size=None, sampler=batches)

    def train_dataloader(self) -> "DataLoader[Clip]":
        """Windows of the training cells."""
        batches = Numbers(0, self.clips_per_epoch, self.batch_size, endless=self.shuffle)
        return DataLoader(_Windows(self), batch_size=None, sampler=batches)

    def val_dataloader(self) -> "DataLoader[Clip]":
        """Whole videos of the validation cells."""
        return DataLoader(
            _Videos(self), batch_size=None, sampler=Batches(self.rows("val"), self.batch_size, shared=True)
        )

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """See `to_device`."""
        return to_device(batch, device)

    def clip(self, rows: Sequence[int], windows: Sequence[slice] | None = None) -> Clip:
        """A batch of videos, or of windows of them; the shorter ones are padded with unlabelled last frames."""
        windows = [slice(None)] * len(rows) if windows is None else windows
        parts = [self._part(row, window) for row, window in zip(rows, windows, strict=True)]
        longest = max(len(part["frame"]) for part in parts)
        padded = {
            key: torch.stack([_padded(part[key], longest, hidden=key == "labelled") for part in parts])
            for key in parts[0]
        }
        names = [self.recordings[row].name for row in rows]
        pixel_sizes = torch.tensor([self.prepared[row].pixel_size for row in rows], dtype=torch.float32)
        return Clip(**padded, video=names, group=list(names), pixel_size=pixel_sizes)  # type: ignore[typeddict-item]

    def window(self, number: int) -> tuple[int, slice]:
        """The video and the frames, one of them with a mask at least, of a window of training."""
        rows = self._training_rows
        turn, place = divmod(number, len(rows))
        row = rows[int(torch.randperm(len(rows), generator=generator(self.seed, turn, 1))[place])]
        time = len(self.recordings[row].frames)
        length = min(self.frames or time, *(len(self.recordings[each].frames) for each in rows))
        labelled = self.recordings[row].labelled
        starts = [first for first in range(time - length + 1) if labelled[first : first + length].any()]
        first = starts[int(torch.randint(len(starts), (), generator=generator(self.seed, number, 2)))]
        return row, slice(first, first + length)

    @functools.cached_property
    def _training_rows(self) -> list[int]:
        return [row for row in self.rows("train") if self.recordings[row].labelled.any()]

    @functools.cached_property
    def _digests(self) -> dict[str, str]:
        """SHA-256 of what each video is; its bytes, not its files' names, count."""
        return {recording.name: _digest(recording) for recording in self.recordings}

    def _part(self, row: int, window: slice) -> dict[str, torch.Tensor]:
        recording, prepared = self.recordings[row], self.prepared[row]
        frames, masks = torch.from_numpy(prepared.frames[window]), torch.from_numpy(prepared.masks[window])
        labelled = torch.from_numpy(recording.labelled[window])
        return {
            "frames": frames[:, None],
            "masks": masks[:, None].float(),
            "labelled": labelled,
            "frame": torch.tensor(recording.numbers[window]),
            "contrast": torch.where(labelled, contrast(frames, masks), torch.nan).float(),
        }


class _Videos(Dataset[Clip]):
    """Whole videos by their positions; an item is a batch."""

    def __init__(self, data: LexyVideos) -> None:
        self.data = data

    def __getitem__(self, rows: Sequence[int]) -> Clip:
        return self.data.clip(rows)


class _Windows(Dataset[Clip]):
    """Windows of training by their numbers; an item is a batch."""

    def __init__(self, data: LexyVideos) -> None:
        self.data = data

    def __getitem__(self, numbers: Sequence[int]) -> Clip:
        rows, windows = zip(*map(self.data.window, numbers), strict=True)
        return self.data.clip(rows, windows)


def _padded(values: torch.Tensor, length: int, *, hidden: bool) -> torch.Tensor:
    """Repeat the last frame; where `hidden`, add False."""
    missing = length - len(values)
    if not missing:
        return values
    last = torch.zeros_like(values[-1:]) if hidden else values[-1:]
    return torch.cat([values, last.expand(missing, *values.shape[1:])])


def _digest(recording: Recording) -> str:
    digest = hashlib.sha256(repr((recording.numbers, recording.frames.shape, str(recording.frames.dtype))).encode())
    for array in (recording.frames, recording.masks, recording.labelled):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
