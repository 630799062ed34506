"""What the layouts share: files by their names, images, and frames put together to a recording."""

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from lexy.data.videos.recording import Recording
from lexy.errors import UserError
from lexy.io.tiff_metadata import physical

Image = NDArray[Any]
TIFFS = {".tif", ".tiff"}


@dataclass(frozen=True)
class Frame:
    """One frame as read: image (H, W), mask bool (H, W) or None, and the file that it came from."""

    image: Image
    mask: NDArray[np.bool_] | None
    path: Path


@dataclass(frozen=True)
class Tiff:
    """What a file holds: arrays of pages that are alike, with their axes, and its scale (see `physical`)."""

    path: Path
    images: list[Image]
    axes: list[str]
    pixel_size: float
    interval: float

    def single(self) -> Image:
        """Its only image, (H, W); UserError if it has several or colours."""
        if len(self.images) != 1 or self.images[0].ndim != 2:
            shapes = ", ".join(str(image.shape) for image in self.images)
            raise UserError(f"{self.path}: an image of shape {shapes} where one plane (H, W) was expected.")
        return self.images[0]


def compiled(pattern: str, key: str, groups: Sequence[str] = ()) -> re.Pattern[str]:
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


def files_of(folder: Path, ignore: re.Pattern[str] | None) -> list[Path]:
    """Files of an existing folder by name, without those whose whole name `ignore` matches."""
    names = sorted(path for path in existing(folder).iterdir() if path.is_file())
    return [path for path in names if ignore is None or ignore.fullmatch(path.name) is None]


def none_left_over(files: Sequence[Path], known: set[Path], advice: str) -> None:
    """UserError that names a TIFF file which is not known: it could be a frame with a slip in its name."""
    left = [path.name for path in files if path.suffix.lower() in TIFFS and path not in known]
    if left:
        raise UserError(f"{left[0]} ({len(left)} such files) in {files[0].parent} fits no name: {advice}.")


def text_of(match: re.Match[str], group: str, path: Path) -> str:
    """What a group of a file's name holds; UserError if nothing."""
    if not match[group]:
        raise UserError(f"{path.name}: the group {group!r} of the pattern holds nothing there. Correct the pattern.")
    return match[group]


def number_of(match: re.Match[str], path: Path) -> int:
    """The frame number in a file's name."""
    text = text_of(match, "frame", path)
    if not text.isdecimal():
        raise UserError(f"{path.name}: {text!r} stands where the pattern has the frame number.")
    return int(text)


def read_tiff(path: Path) -> Tiff:
    """All images of a TIFF file, smaller copies of a pyramid apart.

    Nothing is read of other files that its metadata names.

    Raises
    ------
    UserError
        It cannot be read whole, or is a colour picture.
    """
    try:
        with _complaints() as complaints, tifffile.TiffFile(path, _multifile=False) as tif:
            series = [each for each in tif.series if not each.keyframe.is_reduced]
            found = Tiff(path, [each.asarray() for each in series], [each.axes for each in series], *physical(tif))
            # tifffile writes stacks of 3 or 4 planes as colours, too, but one after the other.
            coloured = any(
                each.keyframe.photometric == tifffile.PHOTOMETRIC.RGB and each.axes.endswith("S") for each in series
            )
    except Exception as error:  # tifffile and its codecs raise many kinds
        complaints = [str(error) or type(error).__name__]
    if complaints:
        reason = " ".join(complaints[0].split())
        raise UserError(f"{path}: cannot be read as a TIFF image ({reason:.200}). Replace or remove it.")
    if coloured:
        raise UserError(f"{path}: a colour picture. Save the channel that was measured in grey values.")
    return found


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
        A frame is missing between the first and the last, has another size or type, values that are no numbers, or has
        no mask though `require_masks`, or no frame has one.
    """
    numbers = sorted(frames)
    ordered = [frames[n] for n in numbers]
    for before, after in pairwise(numbers):
        if after != before + 1:
            missing = numbers[-1] - numbers[0] + 1 - len(numbers)
            raise UserError(
                f"video {name}: frame {before + 1} is missing ({missing} in all), after {frames[before].path.name}. "
                "Give all frames from the first to the last, or leave the video out."
            )
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


def scale(given: float | None, found: Sequence[float], key: str, name: str) -> float:
    """The value of the config, else what the files of one video say; NaN if none says anything.

    Raises
    ------
    UserError
        Files differ by more than 1 %.
    """
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


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What tifffile only logs as an error, going on with a part of the file."""
    logger, said = logging.getLogger("tifffile"), list[str]()
    handler, propagate = logging.Handler(logging.ERROR), logger.propagate
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
