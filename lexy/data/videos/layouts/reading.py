"""What the layouts share: files by their names, and frames put together to a recording."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lexy.data.videos.recording import Recording
from lexy.errors import UserError
from lexy.io.frame_names import check_no_gap
from lexy.io.frames import open_single
from lexy.io.readers.tiff import TiffReader

Image = NDArray[Any]


@dataclass(frozen=True)
class Frame:
    """One frame as read: image (H, W), mask bool (H, W) or None, its file and what that says of the scale."""

    image: Image
    mask: NDArray[np.bool_] | None
    path: Path
    pixel_size: float
    interval: float


class Settings(Protocol):
    """What every layout is told about its videos; see `FrameFiles`."""

    require_masks: bool
    pixel_size: float | None
    interval: float | None


def compiled(pattern: str, key: str, groups: Sequence[str] = ()) -> re.Pattern[str]:
    """Compile a regular expression of the config, which must have these named groups.

    Raises
    ------
    UserError
        It is none, or lacks one.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"{key}={pattern!r} is no regular expression: {error}.") from error
    missing = [name for name in groups if name not in expression.groupindex]
    if missing:
        raise UserError(f"{key}={pattern!r} has no group {missing[0]!r}: write (?P<{missing[0]}>...) where it stands.")
    return expression


def existing(folder: Path) -> Path:
    """Return the folder; UserError if there is none."""
    if not folder.is_dir():
        raise UserError(f"data.folder={str(folder)!r}: no such folder.")
    return folder


def files_of(folder: Path, ignore: re.Pattern[str] | None) -> list[Path]:
    """Return what an existing folder holds, sorted by name, without names that `ignore` matches whole."""
    names = sorted(existing(folder).iterdir())
    return [path for path in names if ignore is None or ignore.fullmatch(path.name) is None]


def matches(files: Iterable[Path], pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], Path]]:
    """Yield the files whose whole name a pattern fits, with what its groups hold."""
    for path in files:
        if match := pattern.fullmatch(path.name):
            yield match, path


def none_left_over(files: Sequence[Path], known: set[Path], advice: str) -> None:
    """Raise UserError for a TIFF file, or one of the known files' kind, that is not known: its name may have a slip."""
    suffixes = {*TiffReader.suffixes, *(path.suffix.lower() for path in known if path.is_file())}
    left = [path.name for path in files if path.suffix.lower() in suffixes and path.is_file() and path not in known]
    if left:
        raise UserError(f"{left[0]} ({len(left)} such files) in {files[0].parent} fits no name: {advice}.")


def text_of(match: re.Match[str], group: str, path: Path) -> str:
    """Return what a group of a file's name holds; UserError if nothing."""
    if not match[group]:
        raise UserError(f"{path.name}: the group {group!r} of the pattern holds nothing there. Correct the pattern.")
    return match[group]


def number_of(match: re.Match[str], path: Path) -> int:
    """Return the frame number in a file's name."""
    text = text_of(match, "frame", path)
    if not text.isdecimal():
        raise UserError(f"{path.name}: {text!r} stands where the pattern has the frame number.")
    return int(text)


def read_frame(path: Path, mask_path: Path | None, *, dark: bool) -> Frame:
    """Read a frame and its mask from a file each; `dark` as for `binary`."""
    mask = None
    if mask_path is not None:
        with closing(open_single(mask_path)) as file:
            mask = binary(file.frame(0), mask_path, dark=dark)
    with closing(open_single(path)) as file:
        return Frame(file.frame(0), mask, path, file.pixel_size, file.interval)


def binary(mask: Image, path: Path, *, dark: bool) -> NDArray[np.bool_]:
    """Return a mask as bool (H, W): its nuclei are above zero, or zero if they are `dark`."""
    if not (np.isfinite(mask).all() if mask.dtype.kind == "f" else mask.dtype.kind in "biu"):
        raise UserError(f"{path}: its mask holds values that are not numbers.")
    return mask == 0 if dark else mask > 0


def together(name: str, frames: Mapping[int, Frame], settings: Settings) -> Recording:
    """Make a recording of its frames by number.

    Raises
    ------
    UserError
        A frame is missing between the first and the last, has another size or type, values that are no numbers, or has
        no mask though masks are required; no frame has one; or the files differ in scale and none is set.
    """
    check_no_gap({number: frame.path for number, frame in frames.items()}, f"video {name}")
    numbers = sorted(frames)
    ordered = [frames[n] for n in numbers]
    first = ordered[0]
    for frame in ordered:
        _check(frame, first, name)
    bare = [frame.path.name for frame in ordered if frame.mask is None]
    if bare and (settings.require_masks or len(bare) == len(ordered)):
        advice = "give some masks"
        if settings.require_masks:
            advice = "data.layout.require_masks=false takes frames without one"
        raise UserError(f"video {name}: no mask for {bare[0]} ({len(bare)} of {len(ordered)} frames): {advice}.")
    empty = np.zeros(first.image.shape, bool)
    return Recording(
        name=name,
        frames=np.stack([frame.image for frame in ordered]),
        masks=np.stack([empty if frame.mask is None else frame.mask for frame in ordered]),
        labelled=np.array([frame.mask is not None for frame in ordered]),
        numbers=tuple(numbers),
        pixel_size=_scale(settings.pixel_size, [frame.pixel_size for frame in ordered], "pixel_size", name),
        interval=_scale(settings.interval, [frame.interval for frame in ordered], "interval", name),
    )


def _scale(given: float | None, found: Sequence[float], key: str, name: str) -> float:
    """Return the value of the config, else what the files say; NaN if none says anything."""
    if given is not None:
        return given
    said = [value for value in found if not math.isnan(value)] or [math.nan]
    if max(said) > 1.01 * min(said):
        raise UserError(
            f"video {name}: the metadata of its files give {key} from {min(said):g} to {max(said):g}. Say which it is: "
            f"data.layout.{key}=..."
        )
    return said[0]


def _check(frame: Frame, first: Frame, name: str) -> None:
    image = frame.image
    if image.shape != first.image.shape or image.dtype != first.image.dtype:
        raise UserError(
            f"video {name}: {frame.path.name} is {image.shape} {image.dtype}, {first.path.name} is "
            f"{first.image.shape} {first.image.dtype}. All frames of a video must be alike."
        )
    if image.dtype.kind not in "uif" or (image.dtype.kind == "f" and not np.isfinite(image).all()):
        raise UserError(f"{frame.path}: its image ({image.dtype}) holds values that are not numbers. Save it again.")
    if frame.mask is not None and frame.mask.shape != image.shape:
        raise UserError(
            f"{frame.path}: the mask is {frame.mask.shape}, the image {image.shape}. Both must have one size."
        )
