"""Small videos, files of microscopes that bioio would read, and the error that a call ends with."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lexy.errors import UserError


def frames(count: int = 5, dtype: Any = np.uint16, shape: tuple[int, ...] = (12, 17)) -> NDArray[Any]:
    """Noise (count, *shape), no two frames alike."""
    return np.random.default_rng(0).integers(1, 200, (count, *shape)).astype(dtype)


def complaint(call: Callable[[], Any]) -> str:
    """The one line that a user reads."""
    with pytest.raises(UserError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def bioio_image(path: Path, data: NDArray[Any]) -> SimpleNamespace:
    """What bioio would say of a file with axes TCZYX, and the planes it was asked for; attributes may be changed."""
    path.write_bytes(b"")
    asked: list[tuple[int, ...]] = []

    def get_image_dask_data(order: str, T: int, C: int, Z: int) -> SimpleNamespace:
        assert order == "YX"
        asked.append((T, C, Z))
        return SimpleNamespace(compute=lambda: data[T, C, Z])

    return SimpleNamespace(
        path=path, data=data, scenes=("Image:0",), dims=SimpleNamespace(order="TCZYX"), shape=data.shape,
        channel_names=["BFP", "mCherry"], dtype=data.dtype, asked=asked, time_interval=timedelta(seconds=20),
        physical_pixel_sizes=SimpleNamespace(Z=None, Y=0.3, X=0.3), get_image_dask_data=get_image_dask_data,
    )  # fmt: skip


def bioio(*images: SimpleNamespace) -> SimpleNamespace:
    """What stands in for the module."""
    by_path = {image.path: image for image in images}
    return SimpleNamespace(BioImage=by_path.__getitem__)
