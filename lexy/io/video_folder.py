"""A video as a file for each frame."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lexy.errors import UserError
from lexy.io.video_planes import Planes, choose
from lexy.io.video_tiff import TiffPlanes

LITTER = {"Thumbs.db", "desktop.ini"}  # what systems leave in folders, beside names that begin with a dot
MODES = {"1": "L", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "I;16B": "I;16", "LA": "L"}


def frame_files(folder: Path) -> list[Path]:
    """Files of a folder of frames, in order.

    Raises
    ------
    UserError
        If there is nothing in it, a subfolder or a file that is no image.
    """
    try:
        found = sorted(path for path in folder.iterdir() if path.name not in LITTER and not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from error
    if not found:
        raise UserError(f"{folder}: an empty folder (zero frames); give a video file, or a folder of frames")
    if foreign := [path.name for path in found if path.is_dir() or path.suffix.lower() not in OPENERS]:
        raise UserError(
            f"{folder}: holds what is no frame ({_some(foreign)}); "
            f"move it elsewhere, or give the frames alone, as '{folder}/*.tif'"
        )
    return in_order(found)


def in_order(files: Sequence[Path]) -> list[Path]:
    """Sort frames by the one number that differs between their names.

    Raises
    ------
    UserError
        If names differ in anything else than one number, or a number is missing or there twice.
    """
    if len(files) == 1:
        return list(files)
    texts = Counter(re.sub(r"\d+", "#", str(path)) for path in files)
    usual = texts.most_common(1)[0][0]
    if odd := [path.name for path in files if re.sub(r"\d+", "#", str(path)) != usual]:
        raise UserError(
            f"{files[0].parent}: frames must differ by their number alone, but {_some(odd)} is named otherwise than "
            f"the rest ({Path(usual).name}); give a pattern that fits the frames alone"
        )
    numbers = np.array([[int(digits) for digits in re.findall(r"\d+", str(path))] for path in files], object)
    differ = [at for at in range(numbers.shape[1]) if len(set(numbers[:, at])) > 1]
    if len(differ) > 1:
        raise UserError(
            f"{files[0].parent}: {len(differ)} numbers differ between the frames' names (as in {files[0].name} "
            f"and {files[-1].name}); give a pattern that fits one channel and position, as '{_pattern(files[0])}'"
        )
    by_number: dict[int, Path] = {}
    for path, number in zip(files, numbers[:, differ[0] if differ else -1], strict=True):
        if number in by_number:
            raise UserError(f"{path}: frame {number} is there twice, also as {by_number[number].name}; remove one")
        by_number[number] = path
    first, last = min(by_number), max(by_number)
    if last - first + 1 > len(by_number):
        number = next(each for each in range(first, last) if each not in by_number)
        before = by_number[number - 1].name
        raise UserError(
            f"{files[0].parent}: frame {number} is missing after {before} "
            f"({last - first + 1 - len(by_number)} missing in all); add it, or number the frames without a gap"
        )
    return [by_number[number] for number in sorted(by_number)]


class FilePlanes:
    """A file for each frame: TIFF, PNG or JPEG. One is open at a time.

    Parameters
    ----------
    files : sequence of Path
        In order of time.
    channel : int or None
        Counted from 0.

    Attributes
    ----------
    n_frames, shape, dtype, pixel_size, interval
        Of the first file; see `lexy.io.video_planes.Planes`.
    """

    def __init__(self, files: Sequence[Path], channel: int | None) -> None:
        self._files, self._channel = list(files), channel
        self.n_frames = len(self._files)
        first = self._open(0)
        self.shape, self.dtype = first.shape, first.dtype
        self.pixel_size, self.interval = first.pixel_size, first.interval
        first.close()

    def place(self, frame: int) -> str:
        """See `Planes`."""
        return str(self._files[frame])

    def plane(self, frame: int) -> NDArray[np.generic]:
        """See `Planes`. Another size or type than the first file's is an error."""
        file = self._open(frame)
        try:
            if (file.shape, file.dtype) != (self.shape, self.dtype):
                raise UserError(f"{self.place(frame)}: {_kind(file)}, but {self._files[0].name} is {_kind(self)}; "
                                "frames of a video have one size and type")  # fmt: skip
            return file.plane(0)
        finally:
            file.close()

    def close(self) -> None:
        """See `Planes`: nothing is open between two frames."""

    def _open(self, frame: int) -> Planes:
        path = self._files[frame]
        file = OPENERS[path.suffix.lower()](path, self._channel)
        if file.n_frames != 1:
            file.close()
            raise UserError(f"{path}: {file.n_frames} frames in one file of a folder of frames; give this file itself")
        return file


class PicturePlanes:
    """A single PNG or JPEG; see `lexy.io.video_planes.Planes`."""

    n_frames = 1
    pixel_size = interval = float("nan")

    def __init__(self, path: Path, channel: int | None = None) -> None:
        self._path = path
        try:
            with Image.open(path) as image:
                image.load()
                data = np.asarray(image.convert(MODES.get(image.mode, image.mode)))
        except Exception as error:  # decoders raise many kinds
            raise UserError(f"{path}: not an image, whatever its name says, or cut short; export it again") from error
        data = data.astype(np.uint16) if image.mode == "I" and image.format == "PNG" else data
        self._data = data[choose(str(path), "YXS"[: data.ndim], data.shape, channel).index]
        self.shape: tuple[int, int] = (self._data.shape[0], self._data.shape[1])
        self.dtype: np.dtype[Any] = self._data.dtype

    def place(self, frame: int) -> str:
        """See `Planes`."""
        return str(self._path)

    def plane(self, frame: int) -> NDArray[np.generic]:
        """See `Planes`."""
        return self._data

    def close(self) -> None:
        """See `Planes`."""


OPENERS: dict[str, Callable[[Path, int | None], Planes]] = {
    **dict.fromkeys((".tif", ".tiff", ".btf", ".tf2", ".tf8"), TiffPlanes),
    **dict.fromkeys((".png", ".jpg", ".jpeg"), PicturePlanes),
}


def _kind(planes: Planes) -> str:
    return f"{planes.shape[0]} × {planes.shape[1]} of {planes.dtype}"


def _pattern(path: Path) -> str:
    """The file's name with its last number open."""
    return re.sub(r"\d+(?=\D*$)", "*", path.name)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
