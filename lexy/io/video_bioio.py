"""CZI, ND2 and LIF through bioio, which is an extra."""

import importlib
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.io.video_planes import choose


class BioioPlanes:
    """Planes of a microscope's own file, each read when it is asked for.

    Parameters
    ----------
    path : Path
        CZI, ND2 or LIF with a single scene.
    channel : int or None
        Counted from 0.

    Attributes
    ----------
    n_frames, shape, dtype, pixel_size, interval
        See `lexy.io.video_planes.Planes`.

    Raises
    ------
    UserError
        If bioio or its reader is not installed, the file cannot be read, or it is not clear what a frame is.
    """

    def __init__(self, path: Path, channel: int | None) -> None:
        self._path = path
        try:
            bioio = importlib.import_module("bioio")
        except ImportError as error:
            raise UserError(
                f'{path}: {path.suffix} files need bioio: pip install "lexy[bioio]", or save as TIFF'
            ) from error
        try:
            self._image = image = bioio.BioImage(path)
            scenes, axes, shape = image.scenes, image.dims.order, tuple(int(size) for size in image.shape)
            names = [str(name) for name in image.channel_names or ()]
            self.dtype: np.dtype[Any] = np.dtype(image.dtype)
            self.pixel_size, self.interval = _number(image.physical_pixel_sizes.X), _seconds(image.time_interval)
        except Exception as error:  # each reader raises its own kinds
            raise UserError(
                f"{path}: cannot be read ({_one_line(error)}); if its reader is missing: "
                'pip install "lexy[bioio]"; else save it as OME-TIFF'
            ) from error
        if len(scenes) > 1:
            listed = ", ".join(map(str, scenes[:4]))
            raise UserError(
                f"{path}: {len(scenes)} scenes ({listed}{', …' if len(scenes) > 4 else ''}); save each as a file"
            )
        self._axes, self._choice = axes, choose(str(path), axes, shape, channel, names)
        self.n_frames = 1 if self._choice.time is None else shape[self._choice.time]
        self.shape: tuple[int, int] = (shape[axes.index("Y")], shape[axes.index("X")])

    def place(self, frame: int) -> str:
        """See `Planes`."""
        return f"{self._path}, frame {frame}"

    def plane(self, frame: int) -> NDArray[np.generic]:
        """See `Planes`."""
        at = zip(self._axes, self._choice.at(frame), strict=True)
        try:
            lazy = self._image.get_image_dask_data("YX", **{axis: part for axis, part in at if axis not in "YX"})
            return np.asarray(lazy.compute())
        except Exception as error:
            raise UserError(f"{self.place(frame)}: cannot be read ({_one_line(error)}); export it again") from error

    def close(self) -> None:
        """See `Planes`: bioio closes the file after each read."""


def _seconds(interval: timedelta | float | None) -> float:
    return _number(interval.total_seconds() if isinstance(interval, timedelta) else interval)


def _number(value: float | None) -> float:
    return float(value) if value is not None and 0 < float(value) < math.inf else math.nan


def _one_line(error: Exception) -> str:
    return f"{' '.join(str(error).split()) or type(error).__name__:.200}"
