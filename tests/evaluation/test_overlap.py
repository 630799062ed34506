import numpy as np
import pytest
import torch
from evaluation_masks import pairs
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score, recall_score

from lexy.evaluation.overlap import overlap


def test_hand_computed() -> None:
    predicted = torch.tensor([[[1, 1, 0], [0, 0, 0]]], dtype=torch.bool)
    truth = torch.tensor([[[0, 1, 1], [0, 1, 0]]], dtype=torch.bool)
    result = {name: value.item() for name, value in overlap(predicted, truth).items()}
    assert [result[name] for name in ("tp", "fp", "fn", "tn")] == [1, 1, 2, 2]
    assert result["dice"] == pytest.approx(2 / 5)
    assert result["iou"] == pytest.approx(1 / 4)
    assert result["sensitivity"] == pytest.approx(1 / 3)
    assert result["specificity"] == pytest.approx(2 / 3)
    assert not result["missed"]
    assert not result["spurious"]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (9, 23), (1, 7)])
def test_equals_scikit_learn(height: int, width: int) -> None:
    predicted, truth = pairs(0, height, width)
    result = overlap(predicted, truth)
    for i, (p, t) in enumerate(zip(predicted.flatten(1).numpy(), truth.flatten(1).numpy(), strict=True)):
        tn, fp, fn, tp = confusion_matrix(t, p, labels=[False, True]).ravel()
        assert [int(result[name][i]) for name in ("tp", "fp", "fn", "tn")] == [tp, fp, fn, tn]
        if t.any() or p.any():
            assert result["dice"][i] == pytest.approx(f1_score(t, p, zero_division=0), abs=1e-12)
            assert result["iou"][i] == pytest.approx(jaccard_score(t, p, zero_division=0), abs=1e-12)
        if t.any():
            assert result["sensitivity"][i] == pytest.approx(recall_score(t, p), abs=1e-12)
        if not t.all():
            assert result["specificity"][i] == pytest.approx(recall_score(~t, ~p), abs=1e-12)


def test_empty_and_full_masks() -> None:
    none, full = torch.zeros(4, 5, dtype=torch.bool), torch.ones(4, 5, dtype=torch.bool)
    some = none.clone()
    some[1, 2] = True
    result = overlap(torch.stack([none, none, some, full]), torch.stack([none, some, none, full]))
    assert result["dice"].tolist() == [1, 0, 0, 1]
    assert result["iou"].tolist() == [1, 0, 0, 1]
    np.testing.assert_array_equal(result["sensitivity"], [np.nan, 0, np.nan, 1])
    np.testing.assert_array_equal(result["specificity"], [1, 1, 19 / 20, np.nan])
    assert result["missed"].tolist() == [False, True, False, False]
    assert result["spurious"].tolist() == [False, False, True, False]


def test_types_and_no_masks() -> None:
    result = overlap(torch.zeros(0, 3, 4, dtype=torch.bool), torch.zeros(0, 3, 4, dtype=torch.bool))
    assert {tuple(values.shape) for values in result.values()} == {(0,)}
    assert result["tp"].dtype == result["tn"].dtype == torch.int64
    assert result["dice"].dtype == result["specificity"].dtype == torch.float64
