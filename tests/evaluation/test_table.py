from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from evaluation_masks import pairs
from hypothesis import given, settings
from hypothesis import strategies as st

from lexy.errors import UserError
from lexy.evaluation.evaluate import evaluate
from lexy.evaluation.overlap import overlap
from lexy.evaluation.surface import surface_distances
from lexy.evaluation.table import frame_rows
from lexy.images.nc_ratio import contrast, nuclear_ratio


def clips(count: int = 3, length: int = 4, **extra: Any) -> dict[str, Any]:
    _, truth = pairs(4, 20, 26)
    masks = truth[: count * length].view(count, length, 1, 20, 26).float()
    noise = torch.rand(masks.shape, generator=torch.Generator().manual_seed(0))
    return {
        "frames": masks * 0.5 + noise,
        "masks": masks,
        "labelled": torch.tensor([[True, False, True, True]]).repeat(count, 1),
        "video": ["b", "a", "c"][:count],
        "group": ["x", "y", "x"][:count],
        "frame": torch.arange(length).repeat(count, 1) + 10,
        **extra,
    }


def test_one_row_for_each_labelled_frame_with_its_own_values() -> None:
    clip = clips()
    predicted = clip["masks"].bool().roll(2, dims=-1)
    table = frame_rows(predicted, clip)
    assert table["video"].tolist() == ["b"] * 3 + ["a"] * 3 + ["c"] * 3
    assert table["group"].tolist() == ["x"] * 3 + ["y"] * 3 + ["x"] * 3
    assert table["frame"].tolist() == [10, 12, 13] * 3
    for row, (b, t) in enumerate((b, t) for b in range(3) for t in (0, 2, 3)):
        mask, truth, image = predicted[b, t], clip["masks"][b, t].bool(), clip["frames"][b, t]
        expected = {**overlap(mask, truth), **surface_distances(mask, truth)}
        expected |= {"contrast": contrast(image, truth), "nc_true": nuclear_ratio(image, truth)}
        expected |= {"nc_predicted": nuclear_ratio(image, mask)}
        for name, value in expected.items():
            assert table[name][row] == pytest.approx(value.item(), nan_ok=True), name
    np.testing.assert_allclose(table["nc_error"], (table["nc_predicted"] - table["nc_true"]).abs())


def test_micrometres_only_where_the_pixel_size_is_known() -> None:
    clip = clips(pixel_size=torch.tensor([0.5, torch.nan, 2.0]))
    table = frame_rows(clip["masks"].bool().roll(2, dims=-1), clip)
    for name in ("hausdorff", "hd95", "mean_surface_distance"):
        assert (table[name] > 0).any()
        np.testing.assert_allclose(table[f"{name}_um"], table[name] * np.repeat([0.5, np.nan, 2.0], 3))
    assert frame_rows(clips()["masks"].bool(), clips())["hd95_um"].isna().all()


def test_contrast_of_the_clip_comes_first() -> None:
    clip = clips(contrast=torch.arange(12.0).view(3, 4))
    assert frame_rows(clip["masks"].bool(), clip)["contrast"].tolist() == [0, 2, 3, 4, 6, 7, 8, 10, 11]


def test_a_missed_nucleus_has_no_nuclear_ratio_and_counts() -> None:
    clip = clips(count=1)
    table = frame_rows(torch.zeros_like(clip["masks"], dtype=torch.bool), clip)
    assert table["missed"].all()
    assert table["nc_true"].notna().any()
    assert table[["nc_predicted", "nc_error"]].isna().all(axis=None)
    np.testing.assert_allclose(table["hausdorff"], np.hypot(20, 26))
    assert np.isinf(table["hausdorff_published"]).all()


def test_evaluate_thresholds_at_one_half_and_sorts() -> None:
    clip = clips()
    table = evaluate(lambda clip: clip["masks"] - 1, [clip])  # logit 0, probability 0.5, is foreground
    assert (table["dice"] == 1).all()
    assert table[["group", "video", "frame"]].apply(tuple, axis=1).is_monotonic_increasing
    below = evaluate(lambda clip: clip["masks"] - 1 - 1e-6, [clip])
    assert below["tp"].sum() + below["fp"].sum() == 0


@settings(max_examples=5)
@given(st.permutations(range(3)))
def test_the_order_of_batches_does_not_matter(order: list[int]) -> None:
    whole = clips()
    parts = [{key: value[i : i + 1] for key, value in whole.items()} for i in order]
    predict = lambda clip: clip["frames"] - 0.8  # noqa: E731
    pd.testing.assert_frame_equal(evaluate(predict, parts), evaluate(predict, [whole]))


def test_evaluate_needs_a_labelled_frame() -> None:
    clip = clips()
    clip["labelled"] = torch.zeros_like(clip["labelled"])
    with pytest.raises(UserError, match="no frame is labelled"):
        evaluate(lambda clip: clip["frames"], [clip])
