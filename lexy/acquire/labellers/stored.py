"""Read nuclei from label images that the user has, one for each field."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import relabel_sequential

from lexy.acquire.fields import BadImage
from lexy.acquire.labellers import class_path
from lexy.errors import UserError
from lexy.files import fingerprint
from lexy.io.label_images import read_labels

SUFFIXES = (".png", ".tif", ".tiff")
LARGEST = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Stored:
    """Label images from a folder, `<field>_labels.<ext>` or `<field>.<ext>` (ext: png, tif, tiff).

    A label image holds 8-, 16- or 32-bit integers, 0 = background, each other value one nucleus, and has its field's
    shape. A missing, duplicate or unusable label image is reported for its field.

    Parameters
    ----------
    folder : str
        Folder of the label images, `<antibody>/<plate>_<well>_<number>_labels.png` and so on.
    """

    folder: str

    def label(self, images: Sequence[NDArray[np.integer]], names: Sequence[str]) -> list[NDArray[np.int32] | str]:
        """Read the label image of each field, as `Labeller.label` describes."""
        self._check_folder()
        results: list[NDArray[np.int32] | str] = []
        for image, name in zip(images, names, strict=True):
            try:
                results.append(_instances(self._file(name), image.shape))
            except (BadImage, UserError) as bad:
                results.append(str(bad))
        return results

    def settings(self) -> dict[str, Any]:
        """Return class, folder and a fingerprint of the files' names, sizes and times of change."""
        self._check_folder()
        files = []
        for place, _, names in os.walk(self.folder):
            for path in (Path(place, name) for name in names if name.lower().endswith(SUFFIXES)):
                state = path.stat()
                files.append([path.relative_to(self.folder).as_posix(), state.st_size, state.st_mtime_ns])
        return {"class": class_path(self), "folder": self.folder, "files": fingerprint(sorted(files))}

    def _check_folder(self) -> None:
        if not Path(self.folder).is_dir():
            raise UserError(f"labeller.folder={self.folder}: no such folder. Name the one that holds the label images.")

    def _file(self, name: str) -> Path:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BadImage(f"no field's name: {name}")
        places = [Path(self.folder, name + end + suffix) for end in ("_labels", "") for suffix in SUFFIXES]
        found = [place for place in places if place.is_file()]
        if not found:
            raise BadImage(f"no label image {name}_labels.png (or .tif, .tiff) in {self.folder}")
        if len(found) > 1:
            raise BadImage(f"more than one label image: {', '.join(place.name for place in found)}")
        return found[0]


def _instances(path: Path, shape: tuple[int, ...]) -> NDArray[np.int32]:
    labels = read_labels(path)
    if labels.shape != shape:
        sizes = " and ".join(f"{rows} × {columns}" for rows, columns in (labels.shape, shape))
        raise BadImage(f"{path.name}: wrongly sized: labels and field differ ({sizes} px)")
    if labels.size and (labels.min() < 0 or labels.max() > LARGEST):
        raise BadImage(f"{path.name}: values from {labels.min()} to {labels.max()}, not instances from 1")
    numbered, _, values = relabel_sequential(labels.astype(np.int64))
    if len(values.out_values) == 2 and (pieces := ndimage.label(labels)[1]) > 1:
        raise BadImage(f"{path.name}: one value for {pieces} separate pieces: a mask, not instances")
    return numbered.astype(np.int32)
