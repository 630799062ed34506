"""A PNG or JPEG."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lexy.errors import UserError

MODES = {"1": "L", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "I;16B": "I;16", "LA": "L"}


class PictureReader:
    """A single grey or colour image; see `Reader`."""

    suffixes: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg")

    def __init__(self, path: Path) -> None:
        try:
            with Image.open(path) as image:
                image.load()
                data = np.asarray(image.convert(MODES.get(image.mode, image.mode)))
        except Exception as error:  # decoders raise many kinds
            raise UserError(f"{path}: not an image, whatever its name says, or cut short; export it again") from error
        self._data = data.astype(np.uint16) if image.mode == "I" and image.format == "PNG" else data
        self.axes, self.sizes = "YXS"[: data.ndim], tuple(data.shape)
        self.dtype: np.dtype[Any] = self._data.dtype
        self.channels: list[str] = []
        self.pixel_size = self.interval = float("nan")

    def plane(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """Return a colour sample of the image, or the grey image."""
        return np.asarray(self._data[index])

    def close(self) -> None:
        """Do nothing: the file was closed after reading."""
