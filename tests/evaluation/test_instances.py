import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lexy.evaluation.instances import instance_scores, iou_matrix, matches

# Rows of 10 pixels: a true instance of 4, one of 3, one of 2; 5 pixels of row 1 and one lone pixel are predicted.
TRUTH = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 0, 0], [0, 0, 0, 0, 0, 0, 9, 9, 0, 0]])
PREDICTED = np.array([[5, 5, 5, 0, 0, 0, 3, 3, 3, 3], [0, 0, 0, 0, 4, 0, 0, 0, 0, 0]])


def test_iou_by_hand() -> None:
    # Predicted in the order 3, 4, 5: 2 of 3 pixels of instance 2 are among the 4 of 3; 3 of 4 of instance 1 are 5.
    np.testing.assert_allclose(iou_matrix(TRUTH, PREDICTED), [[0, 0, 3 / 4], [2 / 5, 0, 0], [0, 0, 0]])


def test_scores_by_hand() -> None:
    scores = instance_scores(TRUTH, PREDICTED, ious=(0.4, 0.5, 0.75, 0.8))
    assert (scores["truth"], scores["predicted"]) == (3, 3)
    assert scores["dice"] == pytest.approx(2 * 5 / (9 + 8))
    for iou, hits in (("40", 2), ("50", 1), ("75", 1), ("80", 0)):
        for measure in ("precision", "recall", "f1"):
            assert scores[f"{measure}_{iou}"] == pytest.approx(hits / 3)


def test_precision_and_recall_are_not_mixed_up() -> None:
    predicted = np.where(TRUTH == 1, 1, 0)
    scores = instance_scores(TRUTH, predicted)
    assert scores["precision_50"] == 1
    assert scores["recall_50"] == pytest.approx(1 / 3)
    assert scores["f1_50"] == pytest.approx(1 / 2)


def test_the_assignment_is_the_best_not_the_nearest_first() -> None:
    # Taking the largest IoU first (0.6) leaves the second true instance without one.
    assert matches(np.array([[0.6, 0.55], [0.52, 0.0]]), 0.5) == 2


def test_one_nucleus_counts_once() -> None:
    halves = np.array([[1, 1, 2, 2]])
    assert instance_scores(np.ones((1, 4), int), halves)["precision_50"] == 1 / 2
    assert instance_scores(halves, np.ones((1, 4), int))["recall_50"] == 1 / 2


def test_empty_images() -> None:
    none, one = np.zeros((3, 4), int), np.eye(3, 4, dtype=int)
    both = instance_scores(none, none)
    assert (both["dice"], both["f1_50"], both["f1_75"]) == (1, 1, 1)
    assert np.isnan([both["precision_50"], both["recall_50"]]).all()
    missed = instance_scores(one, none)
    assert (missed["dice"], missed["f1_50"], missed["recall_50"]) == (0, 0, 0)
    assert np.isnan(missed["precision_50"])
    spurious = instance_scores(none, one)
    assert (spurious["dice"], spurious["f1_50"], spurious["precision_50"]) == (0, 0, 0)
    assert np.isnan(spurious["recall_50"])


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(4, 3\)"):
        instance_scores(np.zeros((3, 4), int), np.zeros((4, 3), int))


labels = arrays(np.int32, (5, 7), elements=st.sampled_from([0, 0, 1, 2, 300]))


@given(labels, labels)
def test_iou_equals_the_definition(truth: np.ndarray, predicted: np.ndarray) -> None:
    expected = [
        [((truth == t) & (predicted == p)).sum() / ((truth == t) | (predicted == p)).sum() for p in _values(predicted)]
        for t in _values(truth)
    ]
    shape = len(_values(truth)), len(_values(predicted))
    np.testing.assert_allclose(iou_matrix(truth, predicted), np.array(expected).reshape(shape))
    there, back = instance_scores(truth, predicted), instance_scores(predicted, truth)
    assert there["f1_50"] == back["f1_50"]
    np.testing.assert_equal(there["precision_50"], back["recall_50"])


def _values(image: np.ndarray) -> list[int]:
    return sorted(set(image.ravel().tolist()) - {0})


@given(labels)
def test_the_truth_itself_is_perfect(truth: np.ndarray) -> None:
    scores = instance_scores(truth, 7 * truth)
    assert (scores["dice"], scores["f1_50"], scores["f1_75"]) == (1, 1, 1)
