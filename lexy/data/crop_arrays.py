"""The arrays of a stills store: `images` and `masks` in one Zarr 3 group, written in bounded memory."""

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

CHUNK = 64


class CropArrays:
    """Appends crops to a new Zarr group, a chunk or more at a time.

    8-bit and 16-bit images may be mixed: the arrays are then 16-bit, with 8-bit values spread over the full range.

    Parameters
    ----------
    path : Path
        The group's folder, made with the first chunk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: list[tuple[NDArray[Any], NDArray[Any]]] = []
        self._group: Any = None

    def append(self, images: NDArray[Any], masks: NDArray[Any]) -> None:
        """Append images (n, H, W) uint8 or uint16 and masks (n, H, W) uint8; H and W as those before."""
        self._pending.append((images, masks))
        if sum(len(pending) for pending, _ in self._pending) >= CHUNK:
            self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        if not self._pending:
            return
        kind = np.result_type(*(images.dtype for images, _ in self._pending))
        images = np.concatenate([_widen(images, kind) for images, _ in self._pending])
        masks = np.concatenate([masks for _, masks in self._pending])
        self._pending.clear()
        if self._group is None:
            self._group = zarr.create_group(self.path)
            self._create("images", images.shape[1:], images.dtype)
            self._create("masks", masks.shape[1:], masks.dtype)
        if self._group["images"].dtype.itemsize < images.dtype.itemsize:
            self._widen_stored(images.dtype)
        stored = self._group["images"]
        stored.append(_widen(images, stored.dtype))
        self._group["masks"].append(masks)

    def _widen_stored(self, kind: np.dtype[Any]) -> None:
        shape, narrow = self._group["images"].shape[1:], self._group["images"].dtype
        self._copy("images", self._create("narrow", shape, narrow))
        self._copy("narrow", self._create("images", shape, kind))
        del self._group["narrow"]

    def _create(self, name: str, shape: tuple[int, ...], kind: np.dtype[Any]) -> Any:
        return self._group.create_array(name, shape=(0, *shape), dtype=kind, chunks=(CHUNK, *shape), overwrite=True)

    def _copy(self, name: str, target: Any) -> None:
        source = self._group[name]
        for start in range(0, source.shape[0], CHUNK):
            target.append(_widen(source[start : start + CHUNK], target.dtype))


def read_arrays(path: Path) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Images and masks of a group, whole, in memory; raises what zarr raises."""
    group = zarr.open_group(path, mode="r")
    return np.asarray(group["images"][:]), np.asarray(group["masks"][:])


def _widen(images: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """8-bit → 16-bit with the full range kept: 255 becomes 65,535."""
    return images.astype(kind) * 257 if images.dtype.itemsize < np.dtype(kind).itemsize else images
