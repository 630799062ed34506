"""A user's video, one frame at a time."""

import glob
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.io.frame_names import frame_files, in_order
from lexy.io.frames import ArrayFrames, FileFrames, FolderFrames, Frames
from lexy.io.readers import SUFFIXES


class Video(Protocol):
    """A video that is read frame by frame; a context manager.

    Attributes
    ----------
    name : str
        The file's or folder's name without its suffix.
    n_frames : int
        At least two.
    shape : tuple of int
        Height and width.
    pixel_size : float
        µm; NaN if unknown.
    interval : float
        Seconds from frame to frame; NaN if unknown.
    """

    name: str
    n_frames: int
    shape: tuple[int, int]
    pixel_size: float
    interval: float

    def read(self, frame: int) -> NDArray[np.float32]:
        """Read one frame, (H, W), in the files' own grey values.

        Raises
        ------
        UserError
            If the frame cannot be read, holds NaN or infinite values, or is constant: a network would be told nothing
            by it. The message names the frame, which is to be left out of the file or repaired.
        IndexError
            If there is no such frame.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_video(
    source: str | Path | NDArray[np.generic],
    channel: int | None = None,
    pixel_size: float | None = None,
    interval: float | None = None,
) -> Video:
    """Open a video of any kind. Memory holds one frame, however many there are.

    Parameters
    ----------
    source : str, Path or ndarray of shape (T, H, W)
        A stack (TIFF, OME-TIFF, ImageJ, BigTIFF; CZI, ND2, LIF with the bioio extra), a folder of frames, a pattern as
        `'frames/t*.tif'`, or an array. 8- or 16-bit integers, or floats (double precision is rounded to single).
    channel : int, optional
        Which channel shows the nuclei, counted from 0; needed where there are several.
    pixel_size : float, optional
        µm. Wins over what the file says.
    interval : float, optional
        Seconds from frame to frame. Wins likewise.

    Returns
    -------
    Video

    Raises
    ------
    UserError
        If there is no such file, it is no image, damaged or cut short; it has less than two frames, several channels
        and none is chosen, or planes in depth.
    """
    name, frames = _from_array(source, channel) if isinstance(source, np.ndarray) else open_frames(source, channel)
    try:
        return _FrameVideo(name, frames, pixel_size, interval)
    except BaseException:
        frames.close()
        raise


def open_frames(source: str | Path, channel: int | None = None, *, planes_are_time: bool = False) -> tuple[str, Frames]:
    """Open the frames of a video as they lie in its files.

    Parameters
    ----------
    source : str or Path
        A file, a folder of frames, or a pattern; see `open_video`.
    channel, planes_are_time
        See `lexy.io.axes.choose_frames`.

    Returns
    -------
    name : str
        The file's or folder's name without its suffix.
    frames : Frames
        One at least.

    Raises
    ------
    UserError
        If there is no such file, or it cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        return path.name or path.resolve().name, FolderFrames(frame_files(path), channel)
    if path.exists():
        return _name(path), FileFrames(path, channel, planes_are_time=planes_are_time)
    if not glob.has_magic(str(source)):
        raise UserError(f"{path}: there is no such file or folder")
    files = [Path(each) for each in sorted(glob.glob(os.path.expanduser(str(source)))) if os.path.isfile(each)]
    if not files:
        raise UserError(f"{source}: no file fits this pattern")
    if len(files) == 1:
        return _name(files[0]), FileFrames(files[0], channel, planes_are_time=planes_are_time)
    if foreign := [each for each in files if each.suffix.lower() not in SUFFIXES]:
        raise UserError(f"{foreign[0]}: is no frame that can be read ({', '.join(SUFFIXES)}); give a narrower pattern")
    return files[0].parent.resolve().name, FolderFrames(in_order(files), channel)


def _from_array(source: NDArray[np.generic], channel: int | None) -> tuple[str, Frames]:
    if source.ndim != 3:
        raise UserError(f"array: its shape is {source.shape}; give frames, rows, columns (T, H, W), a single channel")
    if channel not in (None, 0):
        raise UserError(f"array: there is no channel {channel}: an array (T, H, W) has one alone")
    return "array", ArrayFrames(source)


def _name(path: Path) -> str:
    return path.name.removesuffix(path.suffix).removesuffix(".ome")


class _FrameVideo:
    """A `Video` of frames."""

    def __init__(self, name: str, frames: Frames, pixel_size: float | None, interval: float | None) -> None:
        place = frames.place(0) if frames.n_frames == 1 else name
        if frames.n_frames < 2 or 0 in frames.shape:
            count = "one frame" if frames.n_frames == 1 else "zero frames"
            raise UserError(f"{place}: {count if frames.n_frames < 2 else 'empty frames'}; a video has two at least")
        _check_type(frames.place(0), frames.dtype)
        self.name, self.n_frames, self.shape = name, frames.n_frames, frames.shape
        self.pixel_size = _positive(pixel_size, frames.pixel_size, "--pixel-size")
        self.interval = _positive(interval, frames.interval, "--interval")
        self._frames = frames

    def read(self, frame: int) -> NDArray[np.float32]:
        if not 0 <= frame < self.n_frames:
            raise IndexError(f"frame {frame} of {self.n_frames}")
        with np.errstate(over="ignore"):  # a double beyond single precision becomes infinite, and is refused
            image = self._frames.frame(frame).astype(np.float32)
        low, high = image.min(), image.max()
        if not (np.isfinite(low) and np.isfinite(high)):  # min and max hand NaN on
            raise UserError(f"{self._frames.place(frame)}: holds NaN or infinite values; repair it or leave it out")
        if low == high:
            raise UserError(f"{self._frames.place(frame)}: constant (all pixels {low:g}), shows nothing; leave it out")
        return image

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frames.close()


def _check_type(place: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "iuf" or (dtype.kind in "iu" and dtype.itemsize > 2):
        raise UserError(
            f"{place}: its values are {dtype}, neither 8- or 16-bit integers nor floats; "
            "convert it (Fiji: Image > Type > 16-bit or 32-bit)"
        )


def _positive(value: float | None, otherwise: float, flag: str) -> float:
    """Return the value that the user gave, else the files' own."""
    if value is None:
        return otherwise
    if not (math.isfinite(value) and value > 0):
        raise UserError(f"{flag} {value:g}: give a positive number, or leave it out")
    return float(value)
