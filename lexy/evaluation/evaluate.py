"""From a predictor and clips to the per-frame table."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from lexy.errors import UserError
from lexy.evaluation.table import frame_rows


def evaluate(predict: Callable[[Mapping[str, Any]], Tensor], clips: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Predict every batch of clips and measure its labelled frames.

    Parameters
    ----------
    predict : callable
        Gives the logits, (B, T, 1, H, W) float, for a batch of clips. A pixel is foreground from a probability of 0.5.
    clips : iterable of Mapping
        Batches of clips, as `frame_rows` takes them.

    Returns
    -------
    pd.DataFrame
        The rows of `frame_rows`, in the order of group, video and frame.

    Raises
    ------
    UserError
        If no frame has a mask.
    """
    tables = []
    with torch.inference_mode():
        for clip in clips:
            if clip["labelled"].any():
                tables.append(frame_rows(predict(clip) >= 0, clip))
    if not tables:
        raise UserError("nothing to evaluate: no frame is labelled; give clips with masks for some of their frames")
    table = pd.concat(tables, ignore_index=True)
    return table.sort_values(["group", "video", "frame"], kind="stable", ignore_index=True)
