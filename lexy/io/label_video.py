"""Labels of a whole video as an OME-TIFF, written frame by frame."""

import math
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import tifffile
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.files import replacing
from lexy.io.video import Video

CLASSIC = 2**32 - 2**25  # bytes; where tifffile, too, ends a classic TIFF


def write_label_video(
    path: str | Path, labels: Iterable[NDArray[np.integer[Any]]], video: Video, most: int = 0
) -> None:
    """Write the labels (H, W) of all frames of a video in turn; see `LabelVideoWriter`, also for what is raised."""
    with LabelVideoWriter(path, video, most) as writer:
        for frame in labels:
            writer.write(frame)


class LabelVideoWriter:
    """Write the labels of each frame in turn; a context manager.

    The file is an OME-TIFF with axes T, Y, X, deflated without loss, with the video's pixel size and interval where
    they are known. It appears under its name when the last frame is in it, and not at all if anything goes wrong.
    Ids up to 65 535 are stored as uint16. From the first larger id on, the whole file is int32: ImageJ has no integers
    of 32 bits and shows them as floats, which are exact up to 16 777 216. Files that would pass 4 GB uncompressed are
    BigTIFF, which Fiji opens by Bio-Formats.

    Parameters
    ----------
    path : str or Path
        Ends in `.ome.tif`, which Bio-Formats and ome-types go by.
    video : Video
        Gives number and shape of the frames, pixel size and interval.
    most : int
        The largest id, where it is known beforehand: the file is begun in the type that it needs.

    Raises
    ------
    UserError
        If the folder cannot be written to or the disk is full.
    ValueError
        If labels are no (H, W) of integers from 0 on, or not one for each frame of the video.
    """

    def __init__(self, path: str | Path, video: Video, most: int = 0) -> None:
        self._path, self._video = Path(path), video
        narrow = most <= np.iinfo(np.uint16).max
        self._first_type: np.dtype[np.integer[Any]] = np.dtype(np.uint16 if narrow else np.int32)
        self._written = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._temporary = self._stack.enter_context(replacing(self._path))
            self._file = _File(self._temporary, self._first_type, self._video)
        except OSError as error:
            self._stack.__exit__(type(error), error, None)
            raise self._unwritable(error) from error
        return self

    def write(self, labels: NDArray[np.integer[Any]]) -> None:
        """Append the labels (H, W) of the next frame; 0 is background."""
        if labels.shape != self._video.shape or labels.dtype.kind not in "iu":
            raise ValueError(f"labels {labels.shape} of {labels.dtype} for frames {self._video.shape}")
        if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
            raise ValueError(f"labels from {labels.min()} to {labels.max()}, outside 0 to {np.iinfo(np.int32).max}")
        if self._written == self._video.n_frames:
            raise ValueError(f"more labels than the video has frames ({self._video.n_frames})")
        try:
            if labels.max() > np.iinfo(self._file.dtype).max:
                self._widen()
            self._file.write(labels)
        except OSError as error:
            raise self._unwritable(error) from error
        self._written += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._stack:  # first in, last out: closes the file, then moves it or takes it away
                self._file.close()
                if kind is not None:
                    raise _GivenUp
                if self._written < self._video.n_frames:
                    raise ValueError(f"labels of {self._written} frames, the video has {self._video.n_frames}")
        except _GivenUp:
            pass
        except OSError as failed:
            if kind is None:
                raise self._unwritable(failed) from failed

    def _widen(self) -> None:
        """Write again, as int32, what was written so far."""
        narrow = self._temporary.with_name(f"{self._temporary.name}.narrow")
        self._stack.callback(narrow.unlink, missing_ok=True)
        self._file.close()
        self._temporary.replace(narrow)
        self._file = _File(self._temporary, np.dtype(np.int32), self._video)
        with tifffile.TiffFile(narrow, is_ome=False) as before:
            for page in before.pages[: self._written]:
                self._file.write(page.asarray())
        narrow.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> UserError:
        reason = error.strerror or str(error)
        return UserError(f"{self._path}: cannot be written ({reason}); make room or choose another output folder")


class _GivenUp(Exception):
    """Take the temporary file away after an error of the caller, which goes on by itself."""


class _File:
    """A TIFF of one integer type, a page for each frame; the first page tells of all."""

    def __init__(self, path: Path, dtype: np.dtype[np.integer[Any]], video: Video) -> None:
        self.dtype = dtype
        shape = (video.n_frames, *video.shape)
        self._writer = tifffile.TiffWriter(path, bigtiff=math.prod(shape) * dtype.itemsize > CLASSIC, ome=False)
        self._description: bytes | None = _ome(shape, dtype, video.pixel_size, video.interval)
        known = math.isfinite(video.pixel_size)
        # What readers without OME go by; centimetres are the smallest unit that TIFF knows.
        self._resolution = (1e4 / video.pixel_size,) * 2 if known else None
        self._unit = "CENTIMETER" if known else None

    def write(self, labels: NDArray[np.integer[Any]]) -> None:
        self._writer.write(
            labels.astype(self.dtype),
            photometric="minisblack",
            compression="zlib",
            description=self._description,
            metadata=None,
            resolution=self._resolution,
            resolutionunit=self._unit,
        )
        self._description = None

    def close(self) -> None:
        self._writer.close()


def _ome(shape: tuple[int, ...], dtype: np.dtype[np.integer[Any]], pixel_size: float, interval: float) -> bytes:
    known: dict[str, float | str] = {}
    if math.isfinite(pixel_size):
        known |= {"PhysicalSizeX": pixel_size, "PhysicalSizeXUnit": "µm"}
        known |= {"PhysicalSizeY": pixel_size, "PhysicalSizeYUnit": "µm"}
    if math.isfinite(interval):
        known |= {"TimeIncrement": interval, "TimeIncrementUnit": "s"}
    xml = tifffile.OmeXml()
    xml.addimage(dtype, shape, (shape[0], 1, 1, *shape[1:], 1), axes="TYX", Name="labels", **known)
    return str(xml.tostring(declaration=True)).encode()
