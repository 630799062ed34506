"""Overlap of binary masks, by counting pixels."""

import numpy as np
import torch
from torch import Tensor


def overlap(predicted: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Measure the overlap of each predicted mask with its true one.

    Parameters
    ----------
    predicted, truth : Tensor
        (N, H, W) bool, on one device.

    Returns
    -------
    dict of str to Tensor
        (N,) each, on the masks' device. Counts of pixels, int64: `tp`, `fp`, `fn`, `tn`. In [0, 1], float64: `dice` and
        `iou` (1 if both masks are empty, 0 if one is), `sensitivity` (NaN for an empty truth), `specificity` (NaN for a
        truth that fills the image). Bool: `missed` (only the prediction is empty), `spurious` (only the truth is).
    """
    tp, positive, true = _areas(predicted, truth)
    fp, fn = positive - tp, true - tp
    tn = truth[0].numel() - tp - fp - fn if len(truth) else tp
    union = tp + fp + fn
    nothing = union == 0
    return {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "dice": torch.where(nothing, 1.0, 2 * tp.double() / (tp + union)),
        "iou": torch.where(nothing, 1.0, tp.double() / union),
        "sensitivity": tp.double() / true,  # 0 / 0 is NaN, as it shall be
        "specificity": tn.double() / (tn + fp),
        "missed": (true > 0) & (positive == 0),
        "spurious": (true == 0) & (positive > 0),
    }


def _areas(predicted: Tensor, truth: Tensor) -> list[Tensor]:
    """Pixels in both masks, in the predicted and in the true one: (N,) int64 each."""
    if predicted.device.type == "cpu":  # so little work that torch's threads cost more than they gain on a busy machine
        arrays = predicted.numpy(), truth.numpy()
        return [torch.from_numpy(np.count_nonzero(each, axis=(1, 2))) for each in (arrays[0] & arrays[1], *arrays)]
    return [torch.count_nonzero(masks, dim=(1, 2)) for masks in (predicted & truth, predicted, truth)]
