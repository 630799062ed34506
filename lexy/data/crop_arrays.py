"""The arrays of a stills store: `images` and `masks` in one Zarr 3 group, written in bounded memory to few files."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

CHUNK = 64  # crops that are compressed together: what reading a single one costs
SHARD = 2048  # crops of a file; a multiple of CHUNK
SHARD_PIXELS = SHARD * 128 * 128  # at most in a file: the larger the crops, the fewer


class CropArrays:
    """Appends crops to a new Zarr group, whole shards (files) at a time.

    8-bit and 16-bit images may be mixed: the arrays are then 16-bit, with 8-bit values spread over the full range.
    What is pending takes 34 MB each for 8-bit images and masks, 67 MB for 16-bit images; writing a shard, or reading
    one from another group, takes about as much again.

    Parameters
    ----------
    path : Path
        The group's folder, made with the first shard.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._images: NDArray[Any] = np.empty((0, 0, 0), np.uint8)
        self._masks: NDArray[np.uint8] = np.empty((0, 0, 0), np.uint8)
        self._pending = 0
        self._group: Any = None

    def append(self, images: NDArray[Any], masks: NDArray[Any]) -> None:
        """Append images (n, H, W) uint8 or uint16 and masks (n, H, W) uint8.

        Raises
        ------
        ValueError
            If the shapes differ, or H and W are not those of the crops before.
        """
        if not len(self._images):
            shape = (_per_shard(images.shape[1:]), *images.shape[1:])
            self._images, self._masks = np.empty(shape, images.dtype), np.empty(shape, np.uint8)
        if images.shape != masks.shape or images.shape[1:] != self._images.shape[1:]:
            raise ValueError(f"images {images.shape}, masks {masks.shape}, crops before {self._images.shape[1:]}")
        self._widen(images.dtype)
        done = 0
        while done < len(images):
            count = min(len(images) - done, len(self._images) - self._pending)
            place, rows = slice(self._pending, self._pending + count), slice(done, done + count)
            self._images[place] = _widen(images[rows], self._images.dtype)
            self._masks[place] = masks[rows]
            self._pending, done = self._pending + count, done + count
            if self._pending == len(self._images):
                self.flush()

    def append_from(self, path: Path) -> None:
        """Append all crops of another group, a shard at a time; raises what zarr raises."""
        group = zarr.open_group(path, mode="r")
        for rows in _blocks(group["images"]):
            self.append(group["images"][rows], group["masks"][rows])

    def flush(self) -> None:
        """Write what is pending; only before the end is it a whole shard, which is what makes writing fast."""
        if not self._pending:
            return
        if self._group is None:
            self._group = zarr.create_group(self.path)
            self._create("images", self._images.dtype)
            self._create("masks", self._masks.dtype)
        self._group["images"].append(self._images[: self._pending])
        self._group["masks"].append(self._masks[: self._pending])
        self._pending = 0

    def _widen(self, kind: np.dtype[Any]) -> None:
        """Make the images, pending and written, of this type if they are of a narrower one."""
        if self._images.dtype.itemsize >= kind.itemsize:
            return
        self._images = _widen(self._images, kind)
        if self._group is None:
            return
        narrow, wide = self._group["images"], self._create("wide", kind)
        for rows in _blocks(narrow):
            wide.append(_widen(narrow[rows], kind))
        shutil.rmtree(self.path / "images")
        (self.path / "wide").rename(self.path / "images")

    def _create(self, name: str, kind: np.dtype[Any]) -> Any:
        shard = self._images.shape
        return self._group.create_array(
            name, shape=(0, *shard[1:]), dtype=kind, chunks=(CHUNK, *shard[1:]), shards=shard
        )


def read_arrays(path: Path) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Read images and masks of a whole group into memory; raises what zarr raises."""
    group = zarr.open_group(path, mode="r")
    return np.asarray(group["images"][:]), np.asarray(group["masks"][:])


def read_crops(path: Path, rows: NDArray[np.integer[Any]]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Read images and masks of some crops of a group, in the order of `rows` (n,); raises what zarr raises."""
    group = zarr.open_group(path, mode="r")
    order = np.argsort(rows)
    back = np.argsort(order)
    images, masks = (np.asarray(group[name].oindex[rows[order]])[back] for name in ("images", "masks"))
    return images, masks


def _per_shard(shape: tuple[int, ...]) -> int:
    """Return the number of crops of this shape in a shard."""
    return min(max(SHARD_PIXELS // (shape[0] * shape[1]) // CHUNK, 1) * CHUNK, SHARD)


def _blocks(array: Any) -> Iterator[slice]:
    size = (array.shards or array.chunks)[0]
    return (slice(start, start + size) for start in range(0, array.shape[0], size))


def _widen(images: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """Convert 8-bit to 16-bit images over the full range: 255 becomes 65,535."""
    return images.astype(kind) * 257 if images.dtype.itemsize < np.dtype(kind).itemsize else images
