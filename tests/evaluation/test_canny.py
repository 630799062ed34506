import numpy as np
import pytest
import torch
from evaluation_masks import extremes, pairs, symmetric_blobs
from hypothesis import given, settings
from skimage.feature import canny
from skimage.metrics import hausdorff_distance

from lexy.evaluation import canny as module
from lexy.evaluation.canny import canny_edges, published_hausdorff


@settings(max_examples=300)
@given(symmetric_blobs())
def test_edges_equal_scikit_image(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(canny_edges(torch.from_numpy(mask)[None])[0].numpy(), canny(mask, sigma=1))


@pytest.mark.parametrize(("height", "width"), [(40, 40), (33, 57), (3, 3), (2, 9), (1, 1)])
def test_edges_of_extreme_masks(height: int, width: int) -> None:
    masks = extremes(height, width)
    found = canny_edges(torch.from_numpy(masks)).numpy()
    np.testing.assert_array_equal(found, [canny(mask, sigma=1) for mask in masks])


def test_a_weak_edge_is_kept_only_beside_a_strong_one() -> None:
    # On binary masks nearly every edge is strong, so the last step is checked by itself.
    padded = np.zeros((1, 5, 8), dtype=bool)
    place = np.array([9, 18, 27, 14, 22])  # a diagonal of three and a pair that does not touch it
    size = np.array([0.5, 0.15, 0.15, 0.15, 0.15])
    kept = module._hysteresis(place, np.ones(5, dtype=bool), size, padded)
    assert kept.tolist() == [True, True, True, False, False]


@pytest.mark.parametrize(("height", "width"), [(32, 32), (21, 45)])
def test_hausdorff_equals_scikit_image(height: int, width: int) -> None:
    predicted, truth = pairs(2, height, width)
    edges = [[canny(mask, sigma=1) for mask in masks.numpy()] for masks in (predicted, truth)]
    reference = [hausdorff_distance(a, b) for a, b in zip(*edges, strict=True)]
    np.testing.assert_array_equal(published_hausdorff(predicted, truth), reference)
    assert np.isinf(reference).any()
    assert np.isfinite(reference).sum() > 8


def test_the_size_of_a_portion_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    predicted, truth = pairs(3, 20, 30)
    expected = published_hausdorff(predicted, truth)
    monkeypatch.setattr(module, "PIXELS_AT_ONCE", 7 * 600)
    np.testing.assert_array_equal(published_hausdorff(predicted, truth), expected)


def test_no_masks() -> None:
    nothing = torch.zeros(0, 8, 9, dtype=torch.bool)
    assert canny_edges(nothing).shape == (0, 8, 9)
    assert published_hausdorff(nothing, nothing).shape == (0,)
