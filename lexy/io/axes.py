"""The choice of the plane of an image file that is a frame: which axis is time, which channel is shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from lexy.errors import UserError

UNNAMED = "IQ"  # what tifffile calls an axis that the file does not name


@dataclass(frozen=True)
class FrameIndex:
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
        """Return the index of a frame."""
        return tuple(frame if at == self.time else part for at, part in enumerate(self.index))


def choose_frames(
    place: str,
    axes: str,
    shape: Sequence[int],
    channel: int | None,
    names: Sequence[str] = (),
    *,
    planes_are_time: bool = False,
) -> FrameIndex:
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
    planes_are_time : bool
        Take planes one after the other for time points where no axis is time, though the file calls them depth (Z) or
        colours (S): older programs save stacks so, and tifffile those of 3 or 4 frames.

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

    times = [at for at, axis in several.items() if axis == "T"]
    times = times or [at for at, axis in several.items() if axis in UNNAMED]
    if planes_are_time:
        times = times or [at for at, axis in several.items() if axis in "ZS" and at < axes.index("Y")]

    channels = [at for at, axis in several.items() if axis in "CS" and at not in times]
    if len(channels) > 1:
        raise UserError(f"{place}: its channels are colour images; save one grey channel alone")
    colours = any(axes[at] == "S" for at in channels)
    _check_channel(place, channel, shape[channels[0]] if channels else 1, names, rgb=colours)
    for at in channels:
        index[at] = channel or 0

    _check_depth(place, [shape[at] for at, axis in several.items() if axis == "Z" and at not in times], bool(times))
    left = [axes[at] for at in several if at not in channels and at not in times[:1]]
    if left:
        raise UserError(
            f"{place}: its axes are {axes} ({_sizes(shape)}) and it is not clear which of them is time; "
            "save one position and channel as a stack over time alone (OME-TIFF or ImageJ TIFF, axes T, Y, X)"
        )
    return FrameIndex(tuple(index), times[0] if times else None)


def _check_channel(place: str, channel: int | None, count: int, names: Sequence[str], rgb: bool) -> None:
    if channel is None and count == 1:
        return
    names = names if len(names) == count and any(names) else ["red", "green", "blue", "alpha"][:count] if rgb else []
    listed = ", ".join(f"{at} = {name}" for at, name in enumerate(names)) or f"0 to {count - 1}"
    if channel is None and rgb:
        raise UserError(f"{place}: a colour image (RGB); give --channel ({listed}), or convert it to grey values")
    if channel is None:
        raise UserError(
            f"{place}: {count} channels; say which one shows the nuclei by --channel or data.layout.channel ({listed})"
        )
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


def _sizes(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
