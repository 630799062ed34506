"""Labelled fields → crops around nuclei, by the rules of the published study."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from lexy.errors import UserError
from lexy.images.resizing import resize_labels, resize_protein
from lexy.images.rings import PUBLISHED_REACH, box_ring


@dataclass(frozen=True)
class CropRules:
    """How a field is cut into crops. The defaults are the published ones.

    Parameters
    ----------
    field_size : int
        Side in pixels that every (square) field is resized to. Larger than 0.
    crop_size : int
        Side of a crop in pixels, at most `field_size`.
    min_area : int
        Smaller objects (px at `field_size`) are dropped, both in the field and again in every crop. An object is a
        connected piece of the merged mask, so a fragment that touches a nucleus counts as part of it.
    max_nuclei : int
        A field with more nuclei that do not touch its border is not used (`crowded`).

    Raises
    ------
    UserError
        If a crop is larger than the field.
    """

    field_size: Annotated[int, Gt(0)] = 256
    crop_size: Annotated[int, Gt(0)] = 128
    min_area: Annotated[int, Ge(1)] = 100
    max_nuclei: Annotated[int, Ge(1)] = 8

    def __post_init__(self) -> None:
        if self.crop_size > self.field_size:
            raise UserError(
                f"crops.crop_size={self.crop_size} is larger than crops.field_size={self.field_size}: "
                "a crop must fit into the field."
            )


@dataclass(frozen=True)
class CropResult:
    """The crops of one field.

    Attributes
    ----------
    images : ndarray of uint8 or uint16, shape (n, crop, crop)
        Protein; each crop divided by its own maximum and scaled to the type's full range.
    masks : ndarray of uint8, shape (n, crop, crop)
        1 in every nucleus of the crop, whole or cut, else 0.
    rows : list of dict
        One per crop: `nucleus` (its label), `row` and `column` (centroid in pixels of the resized field), `area`
        (px of the resized field), `contrast` (see `ring_contrast`).
    dropped : Counter
        What was left out, by reason: `no nuclei`, `crowded` (fields), `small`, `border` (nuclei), `constant crop`,
        `empty mask` (crops).
    """

    images: NDArray[np.integer[Any]]
    masks: NDArray[np.uint8]
    rows: list[dict[str, Any]]
    dropped: Counter[str]


def crop_field(protein: NDArray[np.integer[Any]], labels: NDArray[np.integer[Any]], rules: CropRules) -> CropResult:
    """Cut a field into one crop per nucleus that does not touch the field's border.

    Parameters
    ----------
    protein : ndarray of uint8 or uint16, shape (H, W)
        Raw grey values.
    labels : ndarray of int, shape (H, W)
        Instances of the nuclei, of the same shape as the protein channel, 0 = background.
    rules : CropRules
        Sizes and limits.

    Returns
    -------
    CropResult
        No crop if the field has no nucleus or more than `rules.max_nuclei`; `dropped` says why.

    Raises
    ------
    ValueError
        If the field is not square, smaller than `rules.crop_size`, or `labels` has another shape.
    """
    check_shape(protein.shape, rules)
    if labels.shape != protein.shape:
        raise ValueError(f"wrongly sized: labels {labels.shape}, protein {protein.shape}")
    dropped: Counter[str] = Counter()
    nuclei = _without_small(resize_labels(labels, rules.field_size).astype(np.int32), rules.min_area, dropped)
    centres = list(_centres(nuclei, dropped))
    if not nuclei.any():
        dropped["no nuclei"] += 1
    if len(centres) > rules.max_nuclei:
        dropped["crowded"] += 1
        centres = []

    top = np.iinfo(protein.dtype).max
    images, masks, rows = [], [], []
    resized = resize_protein(protein, rules.field_size) if centres else None
    for centre in centres:
        assert resized is not None
        window = crop_window(centre["row"], centre["column"], rules)
        image = resized[window]
        mask = _without_small(nuclei[window], rules.min_area) > 0
        if image.min() == image.max() or not mask.any():
            dropped["empty mask" if image.min() < image.max() else "constant crop"] += 1
            continue
        image = image / image.max()
        images.append(np.rint(image * top).astype(protein.dtype))
        masks.append(mask.astype(np.uint8))
        rows.append({**centre, "contrast": ring_contrast(image, mask)})
    shape = (len(rows), rules.crop_size, rules.crop_size)
    return CropResult(
        images=np.array(images, protein.dtype).reshape(shape),
        masks=np.array(masks, np.uint8).reshape(shape),
        rows=rows,
        dropped=dropped,
    )


def check_shape(shape: tuple[int, ...], rules: CropRules) -> None:
    """Raise ValueError unless a field of this shape is square and at least as large as a crop."""
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"wrongly sized: {' × '.join(map(str, shape))} px, not square (resizing would distort it)")
    if shape[0] < rules.crop_size:
        raise ValueError(f"wrongly sized: {shape[0]} × {shape[1]} px, smaller than a crop ({rules.crop_size} px)")


def crop_window(row: float, column: float, rules: CropRules) -> tuple[slice, slice]:
    """Return rows and columns of the crop centred on a truncated centroid, moved inside the field."""
    starts = [min(max(int(at) - rules.crop_size // 2, 0), rules.field_size - rules.crop_size) for at in (row, column)]
    return slice(starts[0], starts[0] + rules.crop_size), slice(starts[1], starts[1] + rules.crop_size)


def ring_contrast(image: NDArray[np.floating[Any]], mask: NDArray[np.bool_]) -> float:
    """Return the mean of the nucleus minus the mean of the cytoplasm ring, in units of the image.

    The ring is the mask dilated by a 9 × 9 box, minus the mask, within the image's Otsu foreground.

    Parameters
    ----------
    image : ndarray of float, shape (H, W)
        Range 0 to 1; not constant.
    mask : ndarray of bool, shape (H, W)
        All nuclei of the image.

    Returns
    -------
    float
        In -1 to 1; NaN if mask or ring are empty.
    """
    ring = box_ring(mask, PUBLISHED_REACH) & (image > threshold_otsu(image))
    if not ring.any() or not mask.any():
        return float("nan")
    return float(image[mask].mean() - image[ring].mean())


def _without_small(labels: NDArray[np.int32], min_area: int, dropped: Counter[str] | None = None) -> NDArray[np.int32]:
    """Remove connected pieces of the merged mask that are smaller than `min_area`."""
    pieces, count = ndimage.label(labels > 0)
    small = np.bincount(pieces.ravel(), minlength=count + 1) < min_area
    small[0] = False
    if dropped is not None and small.any():
        dropped["small"] += int(small.sum())
    return np.where(small[pieces], 0, labels)


def _centres(labels: NDArray[np.int32], dropped: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yield the nuclei whose box does not touch the border, in the order of their labels."""
    for nucleus, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        if any(part.start == 0 or part.stop == side for part, side in zip(box, labels.shape, strict=True)):
            dropped["border"] += 1
            continue
        rows, columns = np.nonzero(labels[box] == nucleus)
        yield {
            "nucleus": nucleus,
            "row": float(rows.mean() + box[0].start),
            "column": float(columns.mean() + box[1].start),
            "area": len(rows),
        }
