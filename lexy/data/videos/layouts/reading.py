"""What the layouts share: patterns, images, and frames put together to a recording."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from lexy.data.videos.recording import Recording
from lexy.data.videos.tiff_metadata import physical
from lexy.errors import UserError

Image = NDArray[Any]


@dataclass(frozen=True)
class Frame:
    """One frame as read: image (H, W), mask bool (H, W) or None, and the file that it came from."""

    image: Image
    mask: NDArray[np.bool_] | None
    path: Path


def compiled(pattern: str, key: str, groups: Sequence[str]) -> re.Pattern[str]:
    """A regular expression of the config that must have these named groups.

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
    """The folder; UserError if there is none."""
    if not folder.is_dir():
        raise UserError(f"data.folder={str(folder)!r}: no such folder.")
    return folder


def number(text: str, path: Path) -> int:
    """A frame number of a file name."""
    if not text.isdecimal():
        raise UserError(f"{path.name}: {text!r} stands where the pattern has the frame number.")
    return int(text)


def read_tiff(path: Path) -> tuple[Image, float, float]:
    """The whole image of a TIFF file, and its pixel size and interval; see `physical`.

    Raises
    ------
    UserError
        It cannot be read.
    """
    try:
        with tifffile.TiffFile(path) as tif:
            return tif.asarray(), *physical(tif)
    except UserError:
        raise
    except Exception as error:  # tifffile and its codecs raise many kinds
        raise UserError(f"{path}: cannot be read as a TIFF image ({error}). Replace or remove it.") from error


def binary(mask: Image, path: Path, *, dark: bool) -> NDArray[np.bool_]:
    """A mask as bool (…, H, W): its nuclei are above zero, or zero if they are `dark`."""
    if not (np.isfinite(mask).all() if mask.dtype.kind == "f" else mask.dtype.kind in "biu"):
        raise UserError(f"{path}: its mask holds values that are not numbers.")
    return mask == 0 if dark else mask > 0


def together(
    name: str, frames: Mapping[int, Frame], *, require_masks: bool, pixel_size: float, interval: float
) -> Recording:
    """A recording of its frames by number.

    Raises
    ------
    UserError
        A frame is missing between the first and the last, has another size or type, or has no mask though
        `require_masks`, or no frame has one.
    """
    numbers = sorted(frames)
    gaps = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if gaps:
        before = frames[max(n for n in numbers if n < gaps[0])].path.name
        raise UserError(
            f"video {name}: frame {gaps[0]} is missing ({len(gaps)} in all), after {before}. Give all frames from the "
            "first to the last, or leave the video out."
        )
    ordered = [frames[n] for n in numbers]
    first = ordered[0]
    for frame in ordered:
        _check(frame, first, name)
    bare = [frame.path.name for frame in ordered if frame.mask is None]
    if bare and (require_masks or len(bare) == len(ordered)):
        advice = "data.layout.require_masks=false takes frames without one" if require_masks else "give some masks"
        raise UserError(f"video {name}: no mask for {bare[0]} ({len(bare)} of {len(ordered)} frames): {advice}.")
    empty = np.zeros(first.image.shape, bool)
    return Recording(
        name=name,
        frames=np.stack([frame.image for frame in ordered]),
        masks=np.stack([empty if frame.mask is None else frame.mask for frame in ordered]),
        labelled=np.array([frame.mask is not None for frame in ordered]),
        numbers=tuple(numbers),
        pixel_size=pixel_size,
        interval=interval,
    )


def known(given: float | None, found: float) -> float:
    """The value of the config, else the file's own."""
    return found if given is None else given


def same_scale(found: Sequence[float]) -> float:
    """The scale that the files of one video agree on; NaN if they do not say or differ."""
    return found[0] if found and all(math.isclose(value, found[0], rel_tol=1e-4) for value in found) else math.nan


def _check(frame: Frame, first: Frame, name: str) -> None:
    if frame.image.ndim != 2:
        raise UserError(f"{frame.path}: an image of shape {frame.image.shape} where one plane was expected.")
    if frame.image.shape != first.image.shape or frame.image.dtype != first.image.dtype:
        raise UserError(
            f"video {name}: {frame.path.name} is {frame.image.shape} {frame.image.dtype}, {first.path.name} is "
            f"{first.image.shape} {first.image.dtype}. All frames of a video must be alike."
        )
    if frame.mask is not None and frame.mask.shape != frame.image.shape:
        raise UserError(
            f"{frame.path}: the mask is {frame.mask.shape}, the image {frame.image.shape}. Both must have one size."
        )
