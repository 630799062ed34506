"""Find and read fields of view on disk: a nuclear stain `…_blue.<ext>` and its protein channel `…_green.<ext>`."""

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

EXPECTED = "<antibody>/<name>_blue.<ext> with <name>_green.<ext> beside it (ext: jpg, jpeg, png, tif, tiff)"
MAX_PIXELS = 8192 * 8192
COMPONENT = {"red": 0, "green": 1, "blue": 2, "yellow": 0}

_CHANNEL = re.compile(r"(?P<stem>.+)_(?P<channel>blue|green)\.(jpe?g|png|tiff?)", re.IGNORECASE)
# Overlays such as 1_A1_1_blue_red_green.jpg are no channel.
_OVERLAY = re.compile(r".*_(blue|green|red|yellow)", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """A file that could not be used.

    Attributes
    ----------
    file : str
        Path relative to the folder of fields, '/' between its parts.
    reason : str
        Why it could not be used, in words.
    """

    file: str
    reason: str


class BadImage(Exception):
    """An image that cannot be used; the message is the reason."""


@dataclass(frozen=True)
class FieldFiles:
    """The two images of one field.

    Attributes
    ----------
    name : str
        Path relative to the folder of fields without the channel, '/' between its parts.
    antibody : str
        Name of the folder that holds the images ('' for images directly in the folder of fields).
    blue, green : Path
        Nuclear stain and protein channel.
    """

    name: str
    antibody: str
    blue: Path
    green: Path


def find_fields(folder: str | Path) -> tuple[list[FieldFiles], list[Problem]]:
    """Find fields in a folder and all its sub-folders.

    Parameters
    ----------
    folder : str or Path
        Holds `<antibody>/<name>_blue.<ext>` and `…_green.<ext>`; the two may differ in extension, case is ignored.

    Returns
    -------
    fields : list of FieldFiles
        Fields in the order of their names.
    problems : list of Problem
        One for each field without its other channel, or with two images of the same.
    """
    root = Path(folder)
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for place, _, files in os.walk(root):
        for file in files:
            match = _CHANNEL.fullmatch(file)
            if match and not file.startswith(".") and not _OVERLAY.fullmatch(match["stem"]):
                name = (Path(place).relative_to(root) / match["stem"]).as_posix()
                found[name][match["channel"].lower()].append(Path(place, file))

    fields, problems = [], []
    for name, channels in sorted(found.items()):
        blue, green = sorted(channels["blue"]), sorted(channels["green"])
        if problem := _unpaired(blue, green, root):
            problems.append(problem)
        else:
            fields.append(FieldFiles(name, Path(name).parent.name, blue[0], green[0]))
    return fields, problems


def _unpaired(blue: list[Path], green: list[Path], root: Path) -> Problem | None:
    for own, other, missing in ((blue, green, "green"), (green, blue, "blue")):
        if len(own) > 1:
            return Problem(relative(own[1], root), f"second image of the same channel, beside {own[0].name}")
        if own and not other:
            return Problem(relative(own[0], root), f"no {missing} image beside it")
    return None


def relative(file: Path, root: str | Path) -> str:
    """Return the path of `file` below `root`, with '/' between its parts."""
    return file.relative_to(root).as_posix()


def read_channel(path: Path, component: int) -> NDArray[np.integer]:
    """Read one channel: a grey image, or one component of a colour image.

    Parameters
    ----------
    path : Path
        JPEG, PNG or TIFF.
    component : int
        Component of a colour image: 0 red, 1 green, 2 blue.

    Returns
    -------
    ndarray of uint8 or uint16, shape (H, W)
        Raw grey values; not constant.

    Raises
    ------
    BadImage
        If the file is empty, unreadable, truncated, too large, neither 8- nor 16-bit, no single plane, or constant.
    """
    image = read_image(path)
    if image.ndim == 3 and image.shape[2] in (2, 3, 4):
        image = image[..., component if image.shape[2] > 2 else 0]
    if image.ndim != 2:
        raise BadImage(f"not a single plane (shape {image.shape})")
    image = image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.dtype not in (np.uint8, np.uint16):
        raise BadImage(f"neither 8- nor 16-bit grey values ({image.dtype})")
    if image.size == 0 or image.min() == image.max():
        raise BadImage("constant image")
    return np.ascontiguousarray(image)


def read_image(path: Path) -> NDArray[np.generic]:
    """Read a JPEG, a PNG or the first series of a TIFF.

    Returns
    -------
    ndarray, shape (H, W), or (H, W, C) for a colour image
        Values and type as in the file.

    Raises
    ------
    BadImage
        If the file is empty, unreadable, truncated or has too many pixels.
    """
    try:
        if path.stat().st_size == 0:
            raise BadImage("empty file")
        return _read_tiff(path) if path.suffix.lower().startswith(".tif") else _read_pil(path)
    except BadImage:
        raise
    except UnidentifiedImageError as error:  # its message is only a path
        raise BadImage("unreadable (no known kind of image)") from error
    except Exception as error:  # decoders raise many kinds (OSError, SyntaxError, struct.error, …)
        raise BadImage(f"unreadable or truncated ({str(error) or type(error).__name__})".replace("\n", " ")) from error


def _read_tiff(path: Path) -> NDArray[np.generic]:
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        _check_pixels(series.shape)
        size = path.stat().st_size
        if any(end > size for page in series.pages if page for end in map(sum, zip(*_extents(page), strict=True))):
            raise BadImage("truncated (its pixel data end after the file)")
        image = np.asarray(series.asarray()).squeeze()
        if series.axes.startswith("S"):  # colour planes one after the other
            image = np.moveaxis(image, 0, -1)
    return image


def _extents(page: tifffile.TiffPage) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return page.dataoffsets, page.databytecounts


def _read_pil(path: Path) -> NDArray[np.generic]:
    with Image.open(path) as image:
        _check_pixels(image.size)
        image.load()
        if image.format == "JPEG" and not _has_end_mark(path.read_bytes()):  # the decoder fills missing parts with grey
            raise BadImage("truncated (its end mark is missing)")
        if image.mode == "I" and image.format == "PNG":  # older versions of Pillow read 16-bit grey so
            return np.asarray(image).astype(np.uint16)
        return np.asarray(image.convert("RGB") if image.mode in ("1", "P", "CMYK", "YCbCr") else image)


def _has_end_mark(jpeg: bytes) -> bool:
    """Return whether an end mark follows the last scan (the bytes of a scan contain none)."""
    return jpeg.rfind(b"\xff\xd9") > jpeg.rfind(b"\xff\xda")


def _check_pixels(shape: tuple[int, ...]) -> None:
    if (pixels := int(np.prod(shape, dtype=np.int64))) > 4 * MAX_PIXELS or (len(shape) == 2 and pixels > MAX_PIXELS):
        raise BadImage(f"too many pixels ({' × '.join(map(str, shape))})")
