"""Film strips of the worst, the median and the best clip of an evaluation."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lexy.clip import Clip
from lexy.report import PHANTOM
from lexy.report.panels import cases
from lexy.report.strips import draw_strips
from lexy.report.video.overlay import Film, write_gif


def draw_clips(
    predict: Callable[[Any], Tensor], clips: Iterable[Clip], frames: pd.DataFrame, path: Path, *, embedded: bool
) -> list[Path]:
    """Draw the worst, the median and the best clip, each once, with the outlines of truth and prediction.

    The worst one is also written as a film, with the truth on the left and the prediction on the right.

    Parameters
    ----------
    predict : callable
        Gives the logits (B, T, 1, H, W) of a batch of clips.
    clips : iterable of Clip
        Searched for these.
    frames : DataFrame
        Their per-frame rows.
    path : Path
        Of the PNG.
    embedded : bool
        Whether the data are the phantom: the title then says so.

    Returns
    -------
    list of Path
        The PNG, and beside it the GIF.
    """
    ordered = frames.groupby(["group", "video"])["dice"].mean().sort_values(kind="stable")
    wanted = cases(len(ordered))
    names = {ordered.index[place]: f"{case}: Dice {ordered.iloc[place]:.3f}" for case, place in wanted.items()}
    found: dict[tuple[str, str], tuple[NDArray[Any], ...]] = {}
    for clip in clips:
        places = {key: i for i, key in enumerate(zip(clip["group"], clip["video"], strict=True)) if key in names}
        if not places:
            continue
        with torch.inference_mode():
            predicted = predict(clip) >= 0
        for key, i in places.items():
            contrast = clip["contrast"][i] if "contrast" in clip else torch.full(clip["frame"][i].shape, torch.nan)
            parts = (clip["frames"][i, :, 0], clip["masks"][i, :, 0], contrast, predicted[i, :, 0].float())
            found[key] = tuple(part.cpu().numpy() for part in parts)
    images, masks, contrasts, predictions = zip(*(found[key] for key in names), strict=True)
    titles = [f"{name}\n{video}" for (_, video), name in names.items()]
    title = "over each frame: its index and contrast"
    banner = f"{PHANTOM}\n" if embedded else ""
    draw_strips(images, masks, contrasts, titles, banner + title, path, predictions)
    return [path, write_gif(_film(images[0], masks[0], predictions[0]), path.with_suffix(".gif"))]


def _film(images: NDArray[Any], truth: NDArray[Any], prediction: NDArray[Any]) -> Film:
    """A clip (T, H, W) beside itself, with the outlines of the truth and of the prediction."""
    return Film(
        lambda at: np.concatenate([images[at]] * 2, axis=1),
        lambda at: np.concatenate([truth[at] > 0, 2 * (prediction[at] > 0)], axis=1).astype(np.int32),
        len(images),
    )
