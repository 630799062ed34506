"""Files of microscopes, CZI, ND2 and LIF, through bioio, which is an extra."""

import importlib
import math
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lexy.errors import UserError


class MicroscopeReader:
    """A file with a single scene, each plane read when it is asked for; see `Reader`.

    Raises
    ------
    UserError
        If bioio or its reader is not installed, the file cannot be read, or has several scenes.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".czi", ".nd2", ".lif")

    def __init__(self, path: Path) -> None:
        try:
            bioio = importlib.import_module("bioio")
        except ImportError as error:
            raise UserError(
                f'{path}: {path.suffix} files need bioio: pip install "lexy[bioio]", or save as TIFF'
            ) from error
        try:
            self._image = image = bioio.BioImage(path)
            self.axes: str = image.dims.order
            self.sizes = tuple(int(size) for size in image.shape)
            self.dtype: np.dtype[Any] = np.dtype(image.dtype)
            self.channels = [str(name) for name in image.channel_names or ()]
            self.pixel_size, self.interval = _number(image.physical_pixel_sizes.X), _seconds(image.time_interval)
            scenes = image.scenes
        except Exception as error:  # each reader raises its own kinds
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(
                f"{path}: cannot be read ({reason:.200}); if its reader is missing: "
                'pip install "lexy[bioio]"; else save it as OME-TIFF'
            ) from error
        if len(scenes) > 1:
            listed = ", ".join(map(str, scenes[:4]))
            raise UserError(
                f"{path}: {len(scenes)} scenes ({listed}{', …' if len(scenes) > 4 else ''}); save each as a file"
            )

    def plane(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read one plane."""
        at = {axis: part for axis, part in zip(self.axes, index, strict=True) if axis not in "YX"}
        return np.asarray(self._image.get_image_dask_data("YX", **at).compute())

    def close(self) -> None:
        """Do nothing: bioio closes the file after each read."""


def _seconds(interval: timedelta | float | None) -> float:
    return _number(interval.total_seconds() if isinstance(interval, timedelta) else interval)


def _number(value: float | None) -> float:
    return float(value) if value is not None and 0 < float(value) < math.inf else math.nan
