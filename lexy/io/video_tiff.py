"""A TIFF stack, read page by page: OME, ImageJ (also > 4 GB), BigTIFF, plain; compressed or not."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.io.tiff_metadata import ome_root, physical, planes_said
from lexy.io.video_planes import choose

AGAIN = "copy or export it again"
MOST_PLANES = 10**7  # tifffile makes room for each one that the metadata speak of


class TiffPlanes:
    """Planes of a TIFF file, the first series of it.

    Nothing but the plane asked for is read. What tifffile finds wrong with the file's structure is an error, also where
    it would go on with the frames that are left.

    Parameters
    ----------
    path : Path
    channel : int or None
        Counted from 0.

    Attributes
    ----------
    n_frames, shape, dtype, pixel_size, interval
        See `lexy.io.video_planes.Planes`.

    Raises
    ------
    UserError
        If the file is missing, no TIFF, damaged or cut short, or it is not clear what a frame is.
    """

    def __init__(self, path: Path, channel: int | None = None) -> None:
        self._path = path
        self._tif = _opened(path)
        try:
            with _no_complaint(path):
                self._series = _only_series(path, self._tif)
                self.pixel_size, self.interval = physical(self._tif)
                names = channel_names(self._tif)
            series, page = self._series, self._series.keyframe
            self._leading = series.ndim - page.ndim
            if tuple(series.shape[self._leading :]) != tuple(page.shape):
                raise UserError(f"{path}: its pages are arranged in an unusual way; save it again as OME-TIFF")
            self._choice = choose(str(path), series.axes, series.shape, channel, names)
            self.n_frames = 1 if self._choice.time is None else int(series.shape[self._choice.time])
            self.shape = (series.shape[series.axes.index("Y")], series.shape[series.axes.index("X")])
            self.dtype = np.dtype(series.dtype)
            self._offset = None if series.is_multifile or page.ndim != 2 else series.dataoffset
            self._check_last()
        except BaseException:
            self.close()
            raise

    def place(self, frame: int) -> str:
        """See `Planes`."""
        return f"{self._path}, frame {frame}" if self.n_frames > 1 else str(self._path)

    def plane(self, frame: int) -> NDArray[np.generic]:
        """See `Planes`."""
        index = self._choice.at(frame)
        leading = tuple(int(part) for part in index[: self._leading] if not isinstance(part, slice))
        number = int(np.ravel_multi_index(leading, self._series.shape[: self._leading])) if leading else 0
        try:
            data = self._page(number, frame) if self._offset is None else self._contiguous(number, frame)
            return np.asarray(data[index[self._leading :]])
        except UserError:
            raise
        except Exception as error:  # decoders raise many kinds
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{self.place(frame)}: cannot be decoded ({reason:.200}); {AGAIN}") from error

    def close(self) -> None:
        """See `Planes`."""
        self._tif.close()

    def _contiguous(self, number: int, frame: int) -> NDArray[np.generic]:
        """One of many planes behind a single page: ImageJ writes stacks > 4 GB so."""
        page, handle = self._series.keyframe, self._tif.filehandle
        offset = self._offset + number * page.nbytes
        self._check_extent(offset, page.nbytes, handle.size, frame)
        handle.seek(offset)
        dtype = np.dtype(page.dtype).newbyteorder(self._tif.byteorder)
        return np.asarray(handle.read_array(dtype, count=page.size)).reshape(page.shape)

    def _page(self, number: int, frame: int) -> NDArray[np.generic]:
        page = self._series.pages[number]
        if page is None:
            raise UserError(f"{self.place(frame)}: lies in another file that is missing, or was cut off; {AGAIN}")
        size = page.parent.filehandle.size
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            self._check_extent(offset, count, size, frame)
        return np.asarray(page.asarray())

    def _check_extent(self, offset: int, count: int, size: int, frame: int) -> None:
        if count == 0 or offset + count > size:
            raise UserError(f"{self.place(frame)}: cut short (its pixels end after the file's end); {AGAIN}")

    def _check_last(self) -> None:
        """A file that is cut short lacks its last frame: better said now than after an hour."""
        number, page = math.prod(self._series.shape[: self._leading]) - 1, self._series.keyframe
        if self._offset is None:
            last = self._series.pages[number]
            extents = list(zip(last.dataoffsets, last.databytecounts, strict=True)) if last is not None else []
            size = last.parent.filehandle.size if last is not None else 0
        else:
            extents, size = [(self._offset + number * page.nbytes, page.nbytes)], self._tif.filehandle.size
        for offset, count in extents:
            self._check_extent(offset, count, size, self.n_frames - 1)


def channel_names(tif: tifffile.TiffFile) -> list[str]:
    """Names of an open file's channels, in order; '' for one without, nothing where the file has none."""
    if tif.is_ome:
        root = ome_root(tif)
        image = None if root is None else root.find("{*}Image")
        return [channel.get("Name", "") for channel in image.findall(".//{*}Channel")] if image is not None else []
    facts = tif.imagej_metadata or {}
    labels = facts.get("Labels") or []
    labels = [labels] if isinstance(labels, str) else labels
    count = facts.get("channels", 1)
    return [str(label) for label in labels[:count]] if isinstance(count, int) else []


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


def _only_series(path: Path, tif: tifffile.TiffFile) -> Any:
    if (said := planes_said(tif)) > MOST_PLANES:
        raise UserError(f"{path}: its metadata speak of {said:g} planes, which cannot be; {AGAIN}")
    try:
        series = [each for each in tif.series if not each.keyframe.is_reduced]
    except Exception as error:
        raise UserError(f"{path}: a damaged TIFF file, or one that is cut short; {AGAIN}") from error
    if not series:
        raise UserError(f"{path}: holds no image at all (zero frames)")
    if len(series) > 1:
        sizes = ", ".join(" × ".join(map(str, each.shape)) for each in series[:4])
        raise UserError(
            f"{path}: holds {len(series)} images of their own ({sizes}), not one video; save the one as a file"
        )
    return series[0]


@contextmanager
def _no_complaint(path: Path) -> Iterator[None]:
    """Make an error of what tifffile only logs: it goes on with a part of the file."""
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
