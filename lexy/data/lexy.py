"""The dataset of real videos: one clip for each cell, cross-validated by cell."""

from typing import Annotated

from annotated_types import Ge, Gt

from lexy.data.videos.base import VideoData
from lexy.data.videos.layouts import Layout
from lexy.data.videos.preparation import Preparation
from lexy.data.videos.recording import Recording


class LexyVideos(VideoData):
    """Videos of single cells with reference masks, in one of several layouts.

    Parameters
    ----------
    folder : str
        Where the videos lie.
    layout : Layout
        How they lie there.
    preparation, folds, fold, fractions, split_seed, clips_per_epoch, frames, batch_size, seed, shuffle
        See `VideoData`; each cell is a group.
    """

    name = "lexy"

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
        super().__init__(
            folder,
            preparation,
            folds=folds,
            fold=fold,
            fractions=fractions,
            split_seed=split_seed,
            clips_per_epoch=clips_per_epoch,
            frames=frames,
            batch_size=batch_size,
            seed=seed,
            shuffle=shuffle,
        )
        self.layout = layout

    def read(self) -> list[Recording]:
        """Return the videos that the layout finds, ascending by name."""
        return self.layout.recordings(self.folder)
