"""From a predictor and clips to the per-frame table."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lexy.errors import UserError
from lexy.evaluation.overlap import overlap
from lexy.evaluation.table import frame_rows

Predict = Callable[[Any], Tensor]


def evaluate(predict: Predict, clips: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Predict every batch of clips and measure its labelled frames; `evaluate_all` for a single method."""
    return evaluate_all({"": predict}, clips)[""]


def evaluate_all(
    methods: Mapping[str, Predict],
    clips: Iterable[Mapping[str, Any]],
    one_step: Mapping[str, Predict] | None = None,
    counted: Callable[[Any], Mapping[str, Any]] = lambda clip: clip,
) -> dict[str, pd.DataFrame]:
    """Predict every batch of clips with each method and measure its labelled frames.

    Parameters
    ----------
    methods : mapping of str to callable
        Each gives the logits, (B, T, 1, H, W) float, for a batch of clips. A pixel is foreground from a probability of
        0.5.
    clips : iterable of Mapping
        Batches of clips, as `frame_rows` takes them; each is made once for all methods.
    one_step : mapping of str to callable
        For methods that carry a mask: likewise, with the true mask of the frame before given to each frame.
    counted : callable
        From a clip to the one whose labelled frames are measured: without those whose truth was given away.

    Returns
    -------
    dict of str to pd.DataFrame
        For each method the rows of `frame_rows`, in the order of group, video and frame; with a column `dice_one_step`
        if it is in `one_step`.

    Raises
    ------
    UserError
        If no frame has a mask.
    """
    one_step = one_step or {}
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in methods}
    with torch.inference_mode():
        for clip in clips:
            measured = counted(clip)
            if not measured["labelled"].any():
                continue
            for name, predict in methods.items():
                rows = frame_rows(foreground(predict(clip), clip), measured)
                if name in one_step:
                    rows["dice_one_step"] = _dice(foreground(one_step[name](clip), clip), measured)
                tables[name].append(rows)
    if not next(iter(tables.values())):
        raise UserError("nothing to evaluate: no frame is labelled; give clips with masks for some of their frames")
    return {name: _ordered(pd.concat(parts, ignore_index=True)) for name, parts in tables.items()}


def foreground(logits: Tensor, clip: Mapping[str, Any]) -> Tensor:
    """Return the predicted masks, bool: pixels with a probability of 0.5 or more, of those that anything is known of.

    Parameters
    ----------
    logits : Tensor, float (B, T, 1, H, W)
    clip : Mapping
        With `known`, bool (B, T, 1, H, W), where some pixels are not known; their masks are 0.
    """
    predicted = logits >= 0
    return predicted & clip["known"].to(predicted.device) if "known" in clip else predicted


def _dice(predicted: Tensor, clip: Mapping[str, Any]) -> NDArray[np.float64]:
    labelled = clip["labelled"].to(predicted.device)
    truth = clip["masks"].to(predicted.device)[labelled][:, 0] >= 0.5
    return overlap(predicted[labelled][:, 0], truth)["dice"].cpu().numpy()


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(["group", "video", "frame"], kind="stable", ignore_index=True)
