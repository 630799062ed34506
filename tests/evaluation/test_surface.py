import numpy as np
import pytest
import torch
from evaluation_masks import pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion
from skimage.metrics import hausdorff_distance

from lexy.evaluation import point_distances as points
from lexy.evaluation.surface import outline, surface_distances


def mask(*pixels: tuple[int, int], shape: tuple[int, int] = (6, 9)) -> torch.Tensor:
    result = torch.zeros(1, *shape, dtype=torch.bool)
    for pixel in pixels:
        result[0][pixel] = True
    return result


def test_outline_is_the_mask_minus_its_erosion() -> None:
    masks, _ = pairs(0, 11, 17)
    eroded = np.stack([binary_erosion(image, border_value=0) for image in masks.numpy()])
    np.testing.assert_array_equal(outline(masks).numpy(), masks.numpy() & ~eroded)


def test_hand_computed() -> None:
    result = surface_distances(mask((0, 0), (0, 1)), mask((0, 0), (3, 1)))
    # forth: 0, 1; back: 0, 3
    assert result["hausdorff"].item() == 3
    assert result["hd95"].item() == pytest.approx(0.95 * 3)
    assert result["mean_surface_distance"].item() == pytest.approx(1.0)
    assert result["surface_dice"].item() == pytest.approx(3 / 4)
    assert surface_distances(mask((0, 0)), mask((0, 2)), tolerance=2)["surface_dice"].item() == 1


def test_empty_masks() -> None:
    none, some = mask(), mask((2, 2))
    result = surface_distances(torch.cat([none, none, some]), torch.cat([none, some, none]))
    for name in ("hausdorff", "hd95", "mean_surface_distance"):
        np.testing.assert_allclose(result[name], [0, np.hypot(6, 9), np.hypot(6, 9)])
    np.testing.assert_array_equal(result["surface_dice"], [1, 0, 0])


@pytest.mark.parametrize(("height", "width"), [(24, 24), (13, 31)])
def test_equals_monai_and_scikit_image(height: int, width: int) -> None:
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    predicted, truth = pairs(1, height, width)
    both = predicted.flatten(1).any(1) & truth.flatten(1).any(1)
    predicted, truth = predicted[both], truth[both]
    result = surface_distances(predicted, truth)
    p, t = predicted[:, None].float(), truth[:, None].float()
    reference = {
        "hausdorff": compute_hausdorff_distance(p, t, include_background=True),
        "hd95": compute_hausdorff_distance(p, t, include_background=True, percentile=95),
        "mean_surface_distance": compute_average_surface_distance(p, t, include_background=True, symmetric=True),
        "surface_dice": compute_surface_dice(p, t, class_thresholds=[1.0], include_background=True),
    }
    for name, values in reference.items():
        np.testing.assert_allclose(result[name], values[:, 0].numpy(), rtol=1e-5, atol=1e-5, err_msg=name)
    edges = zip(outline(predicted).numpy(), outline(truth).numpy(), strict=True)
    np.testing.assert_array_equal(result["hausdorff"], [hausdorff_distance(a, b) for a, b in edges])


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 20))
def test_symmetric_and_the_same_one_by_one(seed: int, height: int, width: int) -> None:
    predicted, truth = pairs(seed, height, width)
    result, mirrored = surface_distances(predicted, truth), surface_distances(truth, predicted)
    single = [surface_distances(p[None], t[None]) for p, t in zip(predicted, truth, strict=True)]
    for name, values in result.items():
        np.testing.assert_allclose(values, mirrored[name], rtol=1e-12)
        np.testing.assert_array_equal(values, np.concatenate([one[name] for one in single]))


def test_search_tree_and_all_pairs_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    predicted, truth = pairs(5, 40, 33)
    expected = surface_distances(predicted, truth)
    monkeypatch.setattr(points, "PAIRS", 0)
    for name, values in surface_distances(predicted, truth).items():
        np.testing.assert_array_equal(values, expected[name])


def test_no_masks() -> None:
    nothing = torch.zeros(0, 4, 5, dtype=torch.bool)
    assert {values.shape for values in surface_distances(nothing, nothing).values()} == {(0,)}
