"""Frames as they lie in their files, read one by one in the files' own type."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.io.axes import choose_frames
from lexy.io.readers import open_reader
from lexy.io.readers.reader import AGAIN


class Frames(Protocol):
    """Frames of one size and type.

    Attributes
    ----------
    n_frames : int
    shape : tuple of int
        Height and width.
    dtype : dtype
        Of the frames.
    pixel_size : float
        µm; NaN if the files do not say.
    interval : float
        Seconds; NaN likewise.
    """

    n_frames: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    pixel_size: float
    interval: float

    def frame(self, number: int) -> NDArray[Any]:
        """Read one frame (H, W) in the files' own type.

        Raises
        ------
        UserError
            If the file is cut short or cannot be decoded.
        """

    def place(self, number: int) -> str:
        """Return the frame in words, with its file: how messages name it."""

    def close(self) -> None:
        """Close what is open."""


class FileFrames:
    """Frames of one file of any format that `lexy.io.readers` knows; see `Frames`.

    Parameters
    ----------
    path : Path
    channel : int or None
        Counted from 0.
    planes_are_time : bool
        See `lexy.io.axes.choose_frames`.

    Raises
    ------
    UserError
        If the file cannot be read, or it is not clear what a frame is.
    """

    def __init__(self, path: Path, channel: int | None = None, *, planes_are_time: bool = False) -> None:
        self._path, self._reader = path, open_reader(path)
        axes, sizes = self._reader.axes, self._reader.sizes
        try:
            self._index = choose_frames(
                str(path), axes, sizes, channel, self._reader.channels, planes_are_time=planes_are_time
            )
        except BaseException:
            self.close()
            raise
        self.n_frames = 1 if self._index.time is None else sizes[self._index.time]
        self.shape = (sizes[axes.index("Y")], sizes[axes.index("X")])
        self.dtype = self._reader.dtype
        self.pixel_size, self.interval = self._reader.pixel_size, self._reader.interval

    def frame(self, number: int) -> NDArray[Any]:
        """Read one frame."""
        try:
            return self._reader.plane(self._index.at(number))
        except Exception as error:  # decoders raise many kinds
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{self.place(number)}: cannot be read ({reason:.200}); {AGAIN}") from error

    def place(self, number: int) -> str:
        """Return the file, and the frame where there are several."""
        return f"{self._path}, frame {number}" if self.n_frames > 1 else str(self._path)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class FolderFrames:
    """A file for each frame, one open at a time; see `Frames`.

    Parameters
    ----------
    files : sequence of Path
        In order of time. The first gives size, type and scale.
    channel : int or None
        Counted from 0.
    """

    def __init__(self, files: Sequence[Path], channel: int | None = None) -> None:
        self._files, self._channel = list(files), channel
        self.n_frames = len(self._files)
        with closing(open_single(self._files[0], channel)) as first:
            self.shape, self.dtype = first.shape, first.dtype
            self.pixel_size, self.interval = first.pixel_size, first.interval

    def frame(self, number: int) -> NDArray[Any]:
        """Read one frame; another size or type than the first file's is an error."""
        with closing(open_single(self._files[number], self._channel)) as file:
            if (file.shape, file.dtype) != (self.shape, self.dtype):
                raise UserError(
                    f"{self.place(number)}: {_kind(file)}, but {self._files[0].name} is {_kind(self)}; "
                    "frames of a video have one size and type"
                )
            return file.frame(0)

    def place(self, number: int) -> str:
        """Return the file of the frame."""
        return str(self._files[number])

    def close(self) -> None:
        """Do nothing: no file is open between two frames."""


class ArrayFrames:
    """Frames of an array (T, H, W); see `Frames`."""

    pixel_size = interval = float("nan")

    def __init__(self, frames: NDArray[Any]) -> None:
        self._frames = frames
        self.n_frames = len(frames)
        self.shape: tuple[int, int] = (frames.shape[1], frames.shape[2])
        self.dtype: np.dtype[Any] = frames.dtype

    def frame(self, number: int) -> NDArray[Any]:
        """Return one frame."""
        return np.asarray(self._frames[number])

    def place(self, number: int) -> str:
        """Return the number of the frame."""
        return f"array, frame {number}"

    def close(self) -> None:
        """Do nothing: an array stays with its owner."""


def open_single(path: Path, channel: int | None = None) -> FileFrames:
    """Open a file that holds one frame alone.

    Raises
    ------
    UserError
        If it cannot be read, or holds several.
    """
    file = FileFrames(path, channel)
    if file.n_frames != 1:
        file.close()
        raise UserError(f"{path}: {file.n_frames} frames in one file of a folder of frames; give this file itself")
    return file


def _kind(frames: Frames) -> str:
    return f"{frames.shape[0]} × {frames.shape[1]} of {frames.dtype}"
