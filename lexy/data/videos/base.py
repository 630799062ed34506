"""Videos with reference masks: splits and folds by group, windows for training, whole videos for evaluation."""

import functools
import hashlib
import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt
from torch.utils.data import DataLoader

from lexy.clip import Clip
from lexy.data import nucleus_size
from lexy.data.base import ClipData
from lexy.data.sampling import Numbers, batch_loader, drawn_row
from lexy.data.splits import fold_groups, split_groups, splits_of_folds
from lexy.data.videos.preparation import Preparation, Prepared
from lexy.data.videos.recording import Recording
from lexy.errors import UserError
from lexy.files import fingerprint
from lexy.images.intensity import Intensity
from lexy.images.nc_ratio import contrast
from lexy.randomness import generator


class VideoData(ClipData):
    """A dataset of videos. Training draws windows; validation and test have whole videos, padded to one length.

    Derive from it, give it a `name`, and write `read`; also `group`, if several videos are of one cell, animal or dish.

    Parameters
    ----------
    folder : str
        Where the videos lie.
    preparation : Preparation
        What is made of each of them: how it is cut, scaled and resized.
    folds : int or None
        Number of folds, dealt by group; None: as many as groups, which leaves one out.
    fold : int or None
        k: the groups of fold k are the test; those of fold k + 1 (the first one after the last) choose the epoch; the
        others train. None: the groups are shared out by `fractions`.
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
    """

    def __init__(
        self,
        folder: str,
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
        super().__init__(batch_size, fold, seed, shuffle)
        self.folder, self.preparation = Path(folder), preparation
        self.folds, self.fractions, self.split_seed = folds, fractions, split_seed
        self.clips_per_epoch, self.frames = clips_per_epoch, frames

    @abstractmethod
    def read(self) -> list[Recording]:
        """Return all videos of `folder`, with names that differ, in an order that does not change.

        Raises
        ------
        UserError
            A file is missing or cannot be read; the message names it.
        """

    def group(self, recording: Recording) -> str:
        """Return the group that a video belongs to; each video is a group of its own unless this says otherwise."""
        return recording.name

    @property
    def intensity(self) -> Intensity:
        """How frames are scaled, in training and by `lexy-predict`: as the preparation does it."""
        return self.preparation.intensity

    @functools.cached_property
    def recordings(self) -> list[Recording]:
        """All videos, read once."""
        try:
            found = list(self.read())
        except FileNotFoundError as error:
            raise UserError(f"data.folder={str(self.folder)!r}: {error}. Give paths.videos=DIR.") from error
        if len(found) < 3:
            raise UserError(
                f"data.folder={str(self.folder)!r} has {len(found)} videos, train, val and test need three."
            )
        names = [recording.name for recording in found]
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(f"data.folder={str(self.folder)!r}: several videos are named {double[0]!r}.")
        for recording in found:
            _check(recording)
        return found

    @functools.cached_property
    def prepared(self) -> list[Prepared]:
        """What networks see of each video."""
        return [self.preparation(recording) for recording in self.recordings]

    def fingerprint(self) -> str:
        """Return the SHA-256 of the videos, their preparation and the split."""
        return fingerprint(self.settings())

    def settings(self) -> dict[str, Any]:
        """Return everything that decides what the clips of validation and test are, as plain values."""
        return {"videos": self._digests, "preparation": self.preparation.settings(), "splits": self.splits()}

    def describe(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the data, with the split of each group."""
        return super().describe() | {"splits": self.splits()}

    def sizes(self) -> dict[str, Any]:
        """Return how large nuclei and frames of training are, with the mean pixel size where it is known."""
        rows = self.rows("train")
        known = [size for row in rows if not math.isnan(size := self.prepared[row].pixel_size)]
        masks = np.concatenate([self.prepared[row].masks[self.recordings[row].labelled] for row in rows])
        return nucleus_size.sizes(masks, float(np.mean(known)) if known else math.nan)

    def contents(self, split: str) -> set[str]:
        """Return the SHA-256 of the frames of the videos of a split."""
        frames = (np.ascontiguousarray(self.recordings[row].frames) for row in self.rows(split))
        return {hashlib.sha256(array.tobytes()).hexdigest() for array in frames}

    def without_first_mask(self) -> list[str]:
        """Return the names of videos whose first frame has no mask."""
        return [recording.name for recording in self.recordings if not recording.labelled[0]]

    def splits(self) -> dict[str, str]:
        """Return the split of every group: 'train', 'val' or 'test'.

        Raises
        ------
        UserError
            There are too few groups, or there is no such fold.
        """
        groups = list(dict.fromkeys(self.row_groups()))
        if self.fold is None:
            return split_groups(groups, self.fractions, self.split_seed)
        by_fold = splits_of_folds(self.fold, len(groups) if self.folds is None else self.folds)
        if self.folds is None:  # left out one by one in the order of the videos: fold 0 is the first group
            return dict(zip(groups, by_fold, strict=True))
        return {group: by_fold[at] for group, at in fold_groups(groups, self.folds, self.split_seed).items()}

    def row_groups(self) -> list[str]:
        """Return the group of each video."""
        return [self.group(recording) for recording in self.recordings]

    def row_splits(self) -> list[str]:
        """Return the split of each video."""
        splits = self.splits()
        return [splits[group] for group in self.row_groups()]

    def train_dataloader(self) -> "DataLoader[Any]":
        """Return windows of the training videos."""
        numbers = Numbers(0, self.clips_per_epoch, self.batch_size, endless=self.shuffle)
        return batch_loader(self._drawn, numbers)

    def clip(self, numbers: Sequence[int], windows: Sequence[slice] | None = None) -> Clip:
        """Return a batch of videos, or of windows of them; shorter ones are padded with unlabelled last frames."""
        windows = [slice(None)] * len(numbers) if windows is None else windows
        parts = [self._part(row, window) for row, window in zip(numbers, windows, strict=True)]
        longest = max(len(part["frame"]) for part in parts)
        padded = {
            key: torch.stack([_padded(part[key], longest, hidden=key == "labelled") for part in parts])
            for key in parts[0]
        }
        recordings = [self.recordings[row] for row in numbers]
        return {
            "frames": padded["frames"],
            "masks": padded["masks"],
            "labelled": padded["labelled"],
            "video": [recording.name for recording in recordings],
            "group": [self.group(recording) for recording in recordings],
            "frame": padded["frame"],
            "pixel_size": torch.tensor([self.prepared[row].pixel_size for row in numbers], dtype=torch.float32),
            "contrast": padded["contrast"],
        }

    def window(self, number: int) -> tuple[int, slice]:
        """Return the row and the frames, one of them with a mask at least, of a window of training."""
        rows = self._training_rows
        row = drawn_row(rows, number, self.seed)
        time = len(self.recordings[row].frames)
        length = min(self.frames or time, *(len(self.recordings[each].frames) for each in rows))
        labelled = self.recordings[row].labelled
        starts = [first for first in range(time - length + 1) if labelled[first : first + length].any()]
        first = starts[int(torch.randint(len(starts), (), generator=generator("window", self.seed, number)))]
        return row, slice(first, first + length)

    def _drawn(self, numbers: Sequence[int]) -> Clip:
        rows, windows = zip(*map(self.window, numbers), strict=True)
        return self.clip(rows, windows)

    @functools.cached_property
    def _training_rows(self) -> list[int]:
        rows = [row for row in self.rows("train") if self.recordings[row].labelled.any()]
        if not rows:
            raise UserError(f"data.folder={str(self.folder)!r}: no video of the train split has a mask in any frame.")
        return rows

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


def _check(recording: Recording) -> None:
    """Raise UserError if the arrays of a recording do not fit together."""
    frames, masks, time = recording.frames, recording.masks, len(recording.frames)
    if frames.ndim != 3 or masks.shape != frames.shape or masks.dtype != bool:
        raise UserError(
            f"video {recording.name}: frames {frames.shape} and masks {masks.shape} {masks.dtype} do not fit: give "
            "both as (T, H, W), the masks as bool."
        )
    if not np.isfinite(frames).all():
        raise UserError(f"video {recording.name}: its frames hold values that are not numbers. Repair or leave it out.")
    if recording.labelled.shape != (time,) or recording.labelled.dtype != bool or len(recording.numbers) != time:
        raise UserError(f"video {recording.name}: labelled (bool) and numbers need a value for each of {time} frames.")
    if any(later <= earlier for earlier, later in pairwise(recording.numbers)):
        raise UserError(f"video {recording.name}: the numbers of its frames do not ascend. Give frames in time order.")


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
