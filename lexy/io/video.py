"""A user's video, one frame at a time."""

import glob
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.io.video_bioio import BioioPlanes
from lexy.io.video_folder import OPENERS, FilePlanes, frame_files, in_order
from lexy.io.video_planes import Planes, check_frame_type, positive

STACKS: dict[str, Callable[[Path, int | None], Planes]] = {
    **OPENERS,
    **dict.fromkeys((".czi", ".nd2", ".lif"), BioioPlanes),
}


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
        """One frame, (H, W), in the files' own grey values.

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
    name, planes = _from_array(source, channel) if isinstance(source, np.ndarray) else _from_path(source, channel)
    try:
        return _Checked(name, planes, pixel_size, interval)
    except BaseException:
        planes.close()
        raise


def _from_array(source: NDArray[np.generic], channel: int | None) -> tuple[str, Planes]:
    if source.ndim != 3:
        raise UserError(f"array: its shape is {source.shape}; give frames, rows, columns (T, H, W), a single channel")
    if channel not in (None, 0):
        raise UserError(f"array: there is no channel {channel}: an array (T, H, W) has one alone")
    return "array", _ArrayPlanes(source)


def _from_path(source: str | Path, channel: int | None) -> tuple[str, Planes]:
    path = Path(source)
    if path.is_dir():
        return path.name or path.resolve().name, FilePlanes(frame_files(path), channel)
    if path.exists():
        return _name(path), _stack(path, channel)
    if not glob.has_magic(str(source)):
        raise UserError(f"{path}: there is no such file or folder")
    files = [Path(each) for each in sorted(glob.glob(os.path.expanduser(str(source)))) if os.path.isfile(each)]
    if not files:
        raise UserError(f"{source}: no file fits this pattern")
    if len(files) == 1:
        return _name(files[0]), _stack(files[0], channel)
    if foreign := [each for each in files if each.suffix.lower() not in OPENERS]:
        raise UserError(f"{foreign[0]}: is no frame that can be read ({', '.join(OPENERS)}); give a narrower pattern")
    return files[0].parent.resolve().name, FilePlanes(in_order(files), channel)


def _stack(path: Path, channel: int | None) -> Planes:
    opener = STACKS.get(path.suffix.lower())
    if opener is None:
        raise UserError(
            f"{path}: videos are read from {', '.join(STACKS)}; save it as one of them (Fiji: File > Save As)"
        )
    return opener(path, channel)


def _name(path: Path) -> str:
    return path.name.removesuffix(path.suffix).removesuffix(".ome")


class _ArrayPlanes:
    pixel_size = interval = float("nan")

    def __init__(self, frames: NDArray[np.generic]) -> None:
        self._frames = frames
        self.n_frames = len(frames)
        self.shape: tuple[int, int] = (frames.shape[1], frames.shape[2])
        self.dtype: np.dtype[Any] = frames.dtype

    def place(self, frame: int) -> str:
        return f"array, frame {frame}"

    def plane(self, frame: int) -> NDArray[np.generic]:
        return self._frames[frame]

    def close(self) -> None:
        """An array stays with its owner."""


class _Checked:
    """A `Video` of planes."""

    def __init__(self, name: str, planes: Planes, pixel_size: float | None, interval: float | None) -> None:
        place = planes.place(0) if planes.n_frames == 1 else name
        if planes.n_frames < 2 or 0 in planes.shape:
            count = "one frame" if planes.n_frames == 1 else "zero frames"
            raise UserError(f"{place}: {count if planes.n_frames < 2 else 'empty frames'}; a video has two at least")
        check_frame_type(planes.place(0), planes.dtype)
        self.name, self.n_frames, self.shape = name, planes.n_frames, planes.shape
        self.pixel_size = positive(pixel_size, planes.pixel_size, "--pixel-size")
        self.interval = positive(interval, planes.interval, "--interval")
        self._planes = planes

    def read(self, frame: int) -> NDArray[np.float32]:
        if not 0 <= frame < self.n_frames:
            raise IndexError(f"frame {frame} of {self.n_frames}")
        with np.errstate(over="ignore"):  # a double beyond single precision becomes infinite, and is refused
            image = self._planes.plane(frame).astype(np.float32)
        low, high = image.min(), image.max()
        if not (np.isfinite(low) and np.isfinite(high)):  # min and max hand NaN on
            raise UserError(f"{self._planes.place(frame)}: holds NaN or infinite values; repair it or leave it out")
        if low == high:
            raise UserError(f"{self._planes.place(frame)}: constant (all pixels {low:g}), shows nothing; leave it out")
        return image

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._planes.close()
