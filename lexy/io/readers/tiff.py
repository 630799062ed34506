"""TIFF files, read page by page: OME, ImageJ (also > 4 GB), BigTIFF, plain; compressed or not."""

import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tifffile
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.io.readers.reader import AGAIN
from lexy.io.readers.tiff_metadata import channel_names, physical, planes_said

MOST_PLANES = 10**7  # tifffile makes room for each one that the metadata speak of


class TiffReader:
    """A TIFF file with one image of any number of planes; see `Reader`.

    Nothing but the plane asked for is read. What tifffile finds wrong with the file's structure is an error, also where
    it would go on with the frames that are left.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".tif", ".tiff", ".btf", ".tf2", ".tf8")

    def __init__(self, path: Path) -> None:
        self._tif = _opened(path)
        try:
            with _no_complaint(path):
                self._series = _only_series(path, self._tif)
                self.pixel_size, self.interval = physical(self._tif)
                self.channels = channel_names(self._tif)
            series, page = self._series, self._series.keyframe
            self.axes: str = series.axes
            self.sizes: tuple[int, ...] = tuple(series.shape)
            self.dtype: np.dtype[Any] = np.dtype(series.dtype)
            self._leading = series.ndim - page.ndim
            if self.sizes[self._leading :] != tuple(page.shape):
                raise UserError(f"{path}: its pages are arranged in an unusual way; save it again as OME-TIFF")
            self._offset = None if series.is_multifile or page.ndim != 2 else series.dataoffset
            self._check_last(path)
        except BaseException:
            self.close()
            raise

    def plane(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read the page that a plane lies in."""
        leading = [part for part in index[: self._leading] if not isinstance(part, slice)]
        number = int(np.ravel_multi_index(leading, self.sizes[: self._leading])) if leading else 0
        data = self._page(number) if self._offset is None else self._contiguous(self._offset, number)
        return np.asarray(data[index[self._leading :]])

    def close(self) -> None:
        """Close the file."""
        self._tif.close()

    def _contiguous(self, first: int, number: int) -> NDArray[Any]:
        """Read one of many planes behind a single page: ImageJ writes stacks > 4 GB so."""
        page, handle = self._series.keyframe, self._tif.filehandle
        offset = first + number * page.nbytes
        _check_extents([(offset, page.nbytes)], handle.size)
        handle.seek(offset)
        dtype = np.dtype(page.dtype).newbyteorder(self._tif.byteorder)
        return np.asarray(handle.read_array(dtype, count=page.size)).reshape(page.shape)

    def _page(self, number: int) -> NDArray[Any]:
        page = self._series.pages[number]
        if page is None:
            raise ValueError("lies in another file that is missing, or was cut off")
        _check_extents(zip(page.dataoffsets, page.databytecounts, strict=True), page.parent.filehandle.size)
        return np.asarray(page.asarray())

    def _check_last(self, path: Path) -> None:
        """Refuse a file that is cut short, and so lacks its last plane: better now than after an hour."""
        number, size = math.prod(self.sizes[: self._leading]) - 1, self._tif.filehandle.size
        if self._offset is not None:
            length = self._series.keyframe.nbytes
            extents = [(self._offset + number * length, length)]
        else:
            last = self._series.pages[number]
            extents = [] if last is None else list(zip(last.dataoffsets, last.databytecounts, strict=True))
            size = 0 if last is None else last.parent.filehandle.size
        try:
            _check_extents(extents, size)
        except ValueError as error:
            raise UserError(f"{path}: {error}; {AGAIN}") from error


@dataclass(frozen=True)
class Pages:
    """All planes (H, W) of a TIFF file, whatever their axes mean, and its scale as in `Reader`."""

    planes: list[NDArray[Any]]
    pixel_size: float
    interval: float


def read_pages(path: Path) -> Pages:
    """Read a TIFF file whose planes show different things, such as an image and its mask; they may differ in type.

    Planes are counted along the shorter one of the outer axes of an array, (planes, H, W) or (H, W, planes).

    Raises
    ------
    UserError
        If the file cannot be read whole, is a colour image, or has more axes.
    """
    with _opened(path) as tif:
        try:
            with _no_complaint(path):
                series = _images(path, tif)
                arrays = [np.asarray(each.asarray()) for each in series]
                scale = physical(tif)
        except UserError:
            raise
        except Exception as error:  # decoders raise many kinds
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{path}: cannot be read ({reason:.200}); {AGAIN}") from error
    # tifffile writes stacks of 3 or 4 planes as colours, too, but one after the other.
    if any(each.keyframe.photometric == tifffile.PHOTOMETRIC.RGB and each.axes.endswith("S") for each in series):
        raise UserError(f"{path}: a colour image (RGB); save the channel that was measured in grey values")
    planes = [plane for array in arrays for plane in _split(array)]
    if any(plane.ndim != 2 for plane in planes):
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise UserError(f"{path}: an image of shape {shapes}; planes (H, W) are needed")
    return Pages(planes, *scale)


def _split(array: NDArray[Any]) -> list[NDArray[Any]]:
    if array.ndim != 3:
        return [array]
    return list(array if array.shape[0] <= array.shape[2] else array.transpose(2, 0, 1))


def _check_extents(extents: Iterable[tuple[int, int]], size: int) -> None:
    """Raise ValueError if an offset with its number of bytes lies beyond the file's size."""
    if any(count == 0 or offset + count > size for offset, count in extents):
        raise ValueError("cut short (its pixels end after the file's end)")


def _opened(path: Path) -> tifffile.TiffFile:
    try:
        with _no_complaint(path):
            # Metadata can name further files, anywhere: only this one is read.
            return tifffile.TiffFile(path, _multifile=False)
    except OSError as error:
        raise UserError(f"{path}: cannot be opened ({error.strerror or error})") from error
    except UserError:
        raise
    except Exception as error:  # what is no TIFF raises many kinds
        raise UserError(f"{path}: not a TIFF file, whatever its name says, or cut short; {AGAIN}") from error


def _images(path: Path, tif: tifffile.TiffFile) -> list[Any]:
    """Return the series of an open file, smaller copies of a pyramid apart; there is one at least."""
    if (said := planes_said(tif)) > MOST_PLANES:
        raise UserError(f"{path}: its metadata speak of {said:g} planes, which cannot be; {AGAIN}")
    try:
        series = [each for each in tif.series if not each.keyframe.is_reduced]
    except Exception as error:
        raise UserError(f"{path}: a damaged TIFF file, or one that is cut short; {AGAIN}") from error
    if not series:
        raise UserError(f"{path}: holds no image at all (zero frames)")
    return series


def _only_series(path: Path, tif: tifffile.TiffFile) -> Any:
    series = _images(path, tif)
    if len(series) > 1:
        sizes = ", ".join(" × ".join(map(str, each.shape)) for each in series[:4])
        raise UserError(
            f"{path}: holds {len(series)} images of their own ({sizes}), not one video; save the one as a file"
        )
    return series[0]


@contextmanager
def _no_complaint(path: Path) -> Iterator[None]:
    """Turn into an error what tifffile only logs, going on with a part of the file."""
    logger, errors = logging.getLogger("tifffile"), list[str]()

    class Note(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                errors.append(" ".join(record.getMessage().split()))

    handler, propagate = Note(), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
    if errors:
        raise UserError(f"{path}: a damaged TIFF file, or one that is cut short ({errors[0]:.200}); {AGAIN}")
