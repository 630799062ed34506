import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import resize

from lexy.images.resizing import resize_labels, resize_protein

sides = st.integers(1, 90)


def linear(image: np.ndarray, size: int) -> np.ndarray:
    return resize(image.astype(np.float32), (size, size), order=1, anti_aliasing=True, preserve_range=True)


@settings(max_examples=150)
@given(sides, sides, st.integers(1, 64), st.sampled_from([np.uint8, np.uint16]), st.integers(0, 99))
def test_proteins_are_what_scikit_image_makes_of_them(
    rows: int, columns: int, size: int, dtype: type, seed: int
) -> None:
    top = np.iinfo(dtype).max
    image = np.random.default_rng(seed).integers(0, top, (rows, columns), endpoint=True).astype(dtype)
    resized = resize_protein(image, size)
    assert resized.dtype == np.float32
    assert resized.shape == (size, size)
    np.testing.assert_allclose(resized, linear(image, size), rtol=0, atol=2e-6 * top)


@settings(max_examples=300)
@given(sides, sides, st.integers(1, 90), st.integers(0, 99))
def test_labels_are_exactly_what_scikit_image_makes_of_them(rows: int, columns: int, size: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 60000, (rows, columns)).astype(np.uint16)
    resized = resize_labels(labels, size)
    assert resized.dtype == labels.dtype
    np.testing.assert_array_equal(resized, resize(labels, (size, size), order=0, anti_aliasing=False))


@pytest.mark.parametrize("side", [256, 1000, 1536, 1728, 2047, 2048])
def test_sizes_as_they_come(side: int) -> None:
    rng = np.random.default_rng(side)
    image = rng.integers(0, 255, (side, side), endpoint=True).astype(np.uint8)
    np.testing.assert_allclose(resize_protein(image, 256), linear(image, 256), rtol=0, atol=5e-4)
    labels = rng.integers(0, 400, (side, side)).astype(np.int32)
    np.testing.assert_array_equal(
        resize_labels(labels, 256), resize(labels, (256, 256), order=0, anti_aliasing=False, preserve_range=True)
    )


@pytest.mark.parametrize("side", [7, 256])
def test_nothing_to_resize_changes_nothing(side: int) -> None:
    image = np.random.default_rng(0).integers(0, 65535, (side, side), endpoint=True).astype(np.uint16)
    np.testing.assert_array_equal(resize_protein(image, side), image)
    np.testing.assert_array_equal(resize_labels(image, side), image)


def test_resized_labels_are_a_copy() -> None:
    labels = np.zeros((4, 4), np.int32)
    resize_labels(labels, 4)[:] = 1
    assert not labels.any()


def test_halved_by_hand() -> None:
    """Of a row: the pairs' means of the smoothed row; sigma is (2 - 1) / 2, beyond the edge the row is mirrored."""
    row = np.array([0, 100, 0, 0, 0, 0, 0, 0], np.uint8)
    weights = np.exp(-2.0 * np.arange(-2, 3) ** 2)
    weights /= weights.sum()
    smooth = [
        np.dot(weights, row[[abs(at + step) if at + step < 8 else 14 - at - step for step in range(-2, 3)]])
        for at in range(8)
    ]
    expected = np.reshape(smooth, (4, 2)).mean(1)
    np.testing.assert_allclose(resize_protein(np.tile(row, (8, 1)), 4), np.tile(expected, (4, 1)), atol=1e-4)
