import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.filters import threshold_otsu

from lexy.data.crops import CropRules, crop_field, crop_window, ring_contrast
from lexy.errors import UserError

SMALL = CropRules(field_size=64, crop_size=32, min_area=9, max_nuclei=8)


def a_field(size: int = 256, dtype: type = np.uint8) -> np.ndarray:
    image = np.random.default_rng(0).integers(1, 200, (size, size)).astype(dtype)
    return image


def squares(size: int, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    labels = np.zeros((size, size), np.int32)
    for number, (top, left, height, width) in enumerate(boxes, start=1):
        labels[top : top + height, left : left + width] = number
    return labels


def test_a_nucleus_at_the_border_is_no_centre_but_is_in_the_mask() -> None:
    labels = squares(256, (0, 40, 20, 20), (30, 40, 20, 20))
    result = crop_field(a_field(), labels, CropRules())
    assert [row["nucleus"] for row in result.rows] == [2]
    assert result.dropped == {"border": 1}
    assert result.masks[0].sum() == 800
    np.testing.assert_array_equal(result.masks[0], labels[:128, :128] > 0)


@pytest.mark.parametrize(("top", "centre"), [(0, False), (1, True), (235, True), (236, False)])
def test_the_outermost_pixels_are_the_border(top: int, centre: bool) -> None:
    labels = squares(256, (top, 100, 20, 20))
    assert bool(crop_field(a_field(), labels, CropRules()).rows) == centre


@pytest.mark.parametrize(("width", "kept"), [(9, False), (10, True)])
def test_objects_under_the_minimal_area_are_dropped(width: int, kept: bool) -> None:
    result = crop_field(a_field(), squares(256, (50, 50, 10, width)), CropRules())
    assert bool(result.rows) == kept
    assert result.dropped["small"] == (not kept)


@pytest.mark.parametrize(("inside", "kept"), [(4, False), (5, True)])
def test_nuclei_are_large_enough_after_cropping_too(inside: int, kept: bool) -> None:
    # The crop around (127, 127) takes columns 63 to 190; the second nucleus reaches `inside` columns into it.
    labels = squares(256, (118, 118, 20, 20), (118, 43 + inside, 20, 20))
    result = crop_field(a_field(), labels, CropRules())
    first = result.rows[0]
    assert (int(first["row"]), int(first["column"])) == (127, 127)
    assert result.masks[0][:, :20].sum() == (20 * inside if kept else 0)


@pytest.mark.parametrize(("count", "used"), [(8, True), (9, False)])
def test_a_crowded_field_is_not_used(count: int, used: bool) -> None:
    boxes = [(20 + 30 * (at // 3), 20 + 30 * (at % 3), 12, 12) for at in range(count)]
    at_border = (0, 200, 20, 20)  # does not count
    result = crop_field(a_field(), squares(256, *boxes, at_border), CropRules())
    assert len(result.rows) == (count if used else 0)
    assert result.dropped["crowded"] == (not used)


def test_a_field_without_nuclei_says_so() -> None:
    assert crop_field(a_field(), np.zeros((256, 256), int), CropRules()).dropped == {"no nuclei": 1}


def test_the_centroid_is_truncated() -> None:
    assert crop_window(127.99, 128.0, CropRules()) == (slice(63, 191), slice(64, 192))


@given(st.floats(0, 255.99), st.floats(0, 255.99), st.integers(1, 256))
def test_windows_lie_inside_and_hold_their_centre(row: float, column: float, size: int) -> None:
    for window, at in zip(crop_window(row, column, CropRules(crop_size=size)), (row, column), strict=True):
        assert window.start >= 0
        assert window.stop <= 256
        assert window.stop - window.start == size
        assert window.start <= int(at) < window.stop
        if size // 2 <= int(at) <= 256 - size + size // 2:
            assert window.start == int(at) - size // 2


boxes = st.lists(
    st.tuples(st.integers(0, 56), st.integers(0, 56), st.integers(2, 12), st.integers(2, 12)), min_size=1, max_size=6
)


@settings(max_examples=40)
@given(boxes)
def test_every_mask_is_the_union_of_large_pieces_in_its_window(boxes: list[tuple[int, int, int, int]]) -> None:
    labels = squares(64, *boxes)
    result = crop_field(a_field(64), labels, SMALL)
    pieces, count = ndimage.label(labels > 0)
    large = sum(((pieces == n) for n in range(1, count + 1) if (pieces == n).sum() >= 9), np.zeros((64, 64), bool))
    for row, mask in zip(result.rows, result.masks, strict=True):
        seen = large[crop_window(row["row"], row["column"], SMALL)]
        parts, number = ndimage.label(seen)
        expected = [parts == n for n in range(1, number + 1) if (parts == n).sum() >= 9]
        np.testing.assert_array_equal(mask, np.any(expected, axis=0))
        rows, columns = np.nonzero((labels == row["nucleus"]) & large)
        assert (row["row"], row["column"]) == pytest.approx((rows.mean(), columns.mean()))
        assert row["area"] == len(rows)
        assert 0 < rows.min() <= rows.max() < 63


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_a_crop_is_divided_by_its_own_maximum(dtype: type, top: int) -> None:
    field = a_field(64, dtype)
    field[10, 10] = 210
    field[50, 50] = 250
    result = crop_field(field, squares(64, (8, 8, 6, 6), (48, 48, 6, 6)), SMALL)
    assert result.images.dtype == dtype
    assert result.images.max((1, 2)).tolist() == [top, top]
    np.testing.assert_array_equal(result.images[0], np.rint(field[:32, :32] / 210 * top))


def test_larger_fields_are_resized_labels_by_nearest_neighbour() -> None:
    labels = squares(256, (80, 80, 40, 40))
    labels[labels > 0] = 1000
    result = crop_field(a_field(256, np.uint16), labels, SMALL)
    (row,) = result.rows
    assert (row["nucleus"], row["area"], row["row"], row["column"]) == (1000, 100, 24.5, 24.5)
    assert set(np.unique(result.masks)) == {0, 1}


def test_detail_finer_than_the_resized_field_is_smoothed_not_sampled() -> None:
    (image,) = crop_field(a_field(256), squares(256, (80, 80, 40, 40)), SMALL).images
    assert image.std() / image.mean() < 0.16  # white noise: 0.11 with anti-aliasing, 0.28 without


@pytest.mark.parametrize("shape", [(256, 200), (100, 100), (256, 256, 3)])
def test_wrongly_sized_fields_are_refused(shape: tuple[int, ...]) -> None:
    image = np.ones(shape, np.uint8)
    with pytest.raises(ValueError, match="wrongly sized"):
        crop_field(image, np.zeros(shape, int), CropRules())


def test_a_constant_crop_is_dropped() -> None:
    image = np.full((256, 256), 7, np.uint8)
    result = crop_field(image, squares(256, (100, 100, 20, 20)), CropRules())
    assert result.rows == []
    assert result.images.shape == (0, 128, 128)
    assert result.dropped == {"constant crop": 1}


@pytest.mark.parametrize("nucleus", [0.5, 0.6, 0.7])
def test_contrast_is_nucleus_minus_ring_within_the_foreground(nucleus: float) -> None:
    image = np.zeros((64, 64))
    image[14:48, 14:42] = 0.6  # of the ring (rows and columns 16 … 43), columns 42 and 43 are background
    image[16:44, 16] = 0.9
    mask = squares(64, (20, 20, 20, 20)) > 0
    image[mask] = nucleus
    ring = 28 * 26 - 400
    assert ring_contrast(image, mask) == pytest.approx(nucleus - (0.6 + 0.3 * 28 / ring))


@settings(max_examples=40)
@given(boxes, st.integers(0, 99))
def test_the_ring_is_the_mask_dilated_by_a_box_minus_the_mask(
    boxes: list[tuple[int, int, int, int]], seed: int
) -> None:
    image, mask = np.random.default_rng(seed).random((64, 64)), squares(64, *boxes) > 0
    ring = ndimage.binary_dilation(mask, np.ones((9, 9))) & ~mask & (image > threshold_otsu(image))
    expected = image[mask].mean() - image[ring].mean() if ring.any() else math.nan
    assert ring_contrast(image, mask) == pytest.approx(expected, nan_ok=True)


def test_contrast_of_an_empty_ring_is_nan() -> None:
    image = np.zeros((32, 32))
    image[10:20, 10:20] = 1
    assert math.isnan(ring_contrast(image, image > 0))


def test_a_crop_larger_than_the_field_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"crops\.crop_size=300"):
        CropRules(crop_size=300)
