"""What lies behind a video: planes read one by one, and the choice of the plane that is a frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lexy.errors import UserError

UNNAMED = "IQ"  # what tifffile calls an axis that the file does not name


class Planes(Protocol):
    """Frames as they lie in their files; what `lexy.io.video.open_video` makes a video of.

    Attributes
    ----------
    n_frames : int
    shape : tuple of int
        Height and width.
    dtype : dtype
        Of the planes.
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

    def plane(self, frame: int) -> NDArray[np.generic]:
        """One frame (H, W) in the files' own type.

        Raises
        ------
        UserError
            If the file is cut short or cannot be decoded.
        """

    def place(self, frame: int) -> str:
        """The frame in words, with its file: how messages name it."""

    def close(self) -> None:
        """Close what is open."""


@dataclass(frozen=True)
class Choice:
    """Where in an array of several axes a frame lies.

    Attributes
    ----------
    index : tuple
        An index for each axis; all of rows and columns; anything for the axis of time.
    time : int or None
        Which axis is time; None if there is one time point alone.
    """

    index: tuple[int | slice, ...]
    time: int | None

    def at(self, frame: int) -> tuple[int | slice, ...]:
        """The index of a frame."""
        return tuple(frame if at == self.time else part for at, part in enumerate(self.index))


def choose(place: str, axes: str, shape: Sequence[int], channel: int | None, names: Sequence[str] = ()) -> Choice:
    """Decide which axis is time and which channel is shown.

    Parameters
    ----------
    place : str
        The file, for messages.
    axes, shape : str, sequence of int
        A letter and a size for each axis: T, C, Z, Y, X, S (colour samples of a pixel), I and Q (not named).
    channel : int or None
        Counted from 0; may be left out where there is one alone.
    names : sequence of str
        Of the channels, where known.

    Raises
    ------
    UserError
        If there are several channels and none is chosen, or a channel that is not there; several planes in depth; or
        several axes that could be time.
    """
    if axes.count("Y") != 1 or axes.count("X") != 1:
        raise UserError(f"{place}: its axes are {axes} ({_sizes(shape)}), without rows (Y) and columns (X): no image")
    several = {at: axis for at, axis in enumerate(axes) if shape[at] > 1 and axis not in "YX"}
    index: list[int | slice] = [slice(None) if axis in "YX" else 0 for axis in axes]

    channels = [at for at, axis in several.items() if axis in "CS"]
    if len(channels) > 1:
        raise UserError(f"{place}: its channels are colour images; save one grey channel alone")
    _check_channel(place, channel, shape[channels[0]] if channels else 1, names, rgb="S" in several.values())
    for at in channels:
        index[at] = channel or 0

    times = [at for at, axis in several.items() if axis == "T"]
    times = times or [at for at, axis in several.items() if axis in UNNAMED]
    _check_depth(place, [shape[at] for at, axis in several.items() if axis == "Z"], bool(times))
    left = [axes[at] for at in several if at not in channels and at not in times[:1]]
    if left:
        raise UserError(
            f"{place}: its axes are {axes} ({_sizes(shape)}) and it is not clear which of them is time; "
            "save one position and channel as a stack over time alone (OME-TIFF or ImageJ TIFF, axes T, Y, X)"
        )
    return Choice(tuple(index), times[0] if times else None)


def _check_channel(place: str, channel: int | None, count: int, names: Sequence[str], rgb: bool) -> None:
    if channel is None and count == 1:
        return
    names = names if len(names) == count and any(names) else ["red", "green", "blue", "alpha"][:count] if rgb else []
    listed = ", ".join(f"{at} = {name}" for at, name in enumerate(names)) or f"0 to {count - 1}"
    if channel is None and rgb:
        raise UserError(f"{place}: a colour image (RGB); give --channel ({listed}), or convert it to grey values")
    if channel is None:
        raise UserError(f"{place}: {count} channels; say which one shows the nuclei by --channel ({listed})")
    if not 0 <= channel < count:
        there = f"{count} channels ({listed})" if count > 1 else "one channel alone (0)"
        raise UserError(f"{place}: there is no channel {channel}, counted from 0: it has {there}")


def _check_depth(place: str, depths: Sequence[int], timed: bool) -> None:
    if depths and timed:
        raise UserError(
            f"{place}: {depths[0]} planes in depth (Z) for each time point; make one of them first "
            "(Fiji: Image > Stacks > Z Project, or Image > Duplicate with one slice)"
        )
    if depths:
        raise UserError(
            f"{place}: {depths[0]} planes in depth (Z) and one time point; if they are time points, "
            f"say so (Fiji: Image > Properties, Slices 1, Frames {depths[0]}) and save it again"
        )


def check_frame_type(place: str, dtype: np.dtype[Any]) -> None:
    """Refuse what is no 8- or 16-bit integer and no real float."""
    if dtype.kind not in "iuf" or (dtype.kind in "iu" and dtype.itemsize > 2):
        raise UserError(
            f"{place}: its values are {dtype}, neither 8- or 16-bit integers nor floats; "
            "convert it (Fiji: Image > Type > 16-bit or 32-bit)"
        )


def positive(value: float | None, otherwise: float, flag: str) -> float:
    """A value that the user gave, else the files' own.

    Raises
    ------
    UserError
        If the given value is no positive number.
    """
    if value is None:
        return otherwise
    if not (math.isfinite(value) and value > 0):
        raise UserError(f"{flag} {value:g}: give a positive number, or leave it out")
    return float(value)


def _sizes(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
