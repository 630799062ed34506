"""Instance segmentation against instance truth: matches at an IoU, and the overlap of the foregrounds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

IOUS = (0.5, 0.75)


def instance_scores(
    truth: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]], ious: Sequence[float] = IOUS
) -> dict[str, float]:
    """Score the predicted instances of one image.

    Parameters
    ----------
    truth, predicted : ndarray of int, (H, W)
        0 = background, any other value an instance; the numbers themselves do not matter.
    ious : sequence of float
        A true and a predicted instance may be matched from this IoU on, (0, 1].

    Returns
    -------
    dict of str to float
        `truth` and `predicted` (number of instances), `dice` (of the foregrounds; 1 if both are empty), and for each
        IoU, here 0.5: `precision_50` (NaN without predicted instances), `recall_50` (NaN without true ones), `f1_50`
        (1 if there are neither).

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {predicted.shape}")
    pairs = iou_matrix(truth, predicted)
    n_truth, n_predicted = pairs.shape
    foreground = np.count_nonzero(truth), np.count_nonzero(predicted)
    both = np.count_nonzero((truth != 0) & (predicted != 0))
    scores = {"truth": n_truth, "predicted": n_predicted, "dice": _ratio(2 * both, sum(foreground), empty=1.0)}
    for iou in ious:
        hits = matches(pairs, iou)
        name = f"{100 * iou:g}"
        scores[f"precision_{name}"] = _ratio(hits, n_predicted)
        scores[f"recall_{name}"] = _ratio(hits, n_truth)
        scores[f"f1_{name}"] = _ratio(2 * hits, n_truth + n_predicted, empty=1.0)
    return scores


def iou_matrix(truth: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Compute the IoU of every true with every predicted instance.

    Parameters
    ----------
    truth, predicted : ndarray of int, (H, W)
        0 = background.

    Returns
    -------
    ndarray of float64, (true instances, predicted instances)
        In the order of their numbers; in [0, 1].
    """
    # 0 in front, so that the background has the first row and column even where there is none.
    true_numbers, true_index = np.unique(np.append(0, truth), return_inverse=True)
    numbers, index = np.unique(np.append(0, predicted), return_inverse=True)
    flat = true_index[1:] * len(numbers) + index[1:]
    common = np.bincount(flat, minlength=len(true_numbers) * len(numbers)).reshape(len(true_numbers), len(numbers))
    union = common.sum(1, keepdims=True) + common.sum(0) - common
    iou: NDArray[np.float64] = common[1:, 1:] / union[1:, 1:]
    return iou


def matches(pairs: NDArray[np.float64], iou: float) -> int:
    """Count the most matches one to one, each from this IoU on.

    Parameters
    ----------
    pairs : ndarray of float64, (true instances, predicted instances)
        From `iou_matrix`.
    iou : float
        (0, 1].
    """
    possible = pairs >= iou
    return int(possible[linear_sum_assignment(possible, maximize=True)].sum())


def _ratio(part: float, whole: float, empty: float = float("nan")) -> float:
    return part / whole if whole else empty
