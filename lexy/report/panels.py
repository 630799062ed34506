"""Pictures of image, truth, prediction and error."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from lexy.files import replacing
from lexy.report import PHANTOM

COLUMNS = ("image", "truth", "prediction", "error")
PLACES = {"left": 0.01, "right": 0.99, "bottom": 0.02, "top": 0.78, "wspace": 0.05}  # of the pictures in a figure


def cases(count: int) -> dict[str, int]:
    """Choose which of `count` things, sorted from the worst to the best, get a picture, each once.

    Returns
    -------
    dict
        'worst', 'median', 'best' → place; of two things, 'worst' and 'best'; of a single one, 'only'.
    """
    if count < 3:
        return {"only": 0} if count == 1 else {"worst": 0, "best": 1}
    return {"worst": 0, "median": (count - 1) // 2, "best": count - 1}


def extremes(frames: pd.DataFrame, metric: str = "dice") -> dict[str, tuple[str, int]]:
    """Find the worst, the median and the best frame of a per-frame table.

    Parameters
    ----------
    frames : DataFrame
    metric : str

    Returns
    -------
    dict
        Name, as `cases` gives it → (video, frame).
    """
    ordered = frames.sort_values([metric, "video", "frame"], kind="stable")
    rows = {name: ordered.iloc[place] for name, place in cases(len(ordered)).items()}
    return {name: (str(row["video"]), int(row["frame"])) for name, row in rows.items()}


def draw_panels(
    predict: Callable[[Any], Tensor],
    clips: Iterable[Mapping[str, Any]],
    cases: Mapping[str, tuple[str, int]],
    folder: Path,
    *,
    embedded: bool,
) -> list[Path]:
    """Draw each case as one PNG.

    Parameters
    ----------
    predict : callable
        Gives the logits (B, T, 1, H, W) of a clip.
    clips : iterable of Clip
        Searched for the cases.
    cases : mapping
        Name → (video, frame), as `extremes` gives them.
    folder : Path
        Where `NAME.png` is written; names of videos stand in titles only, never in a path.
    embedded : bool
        Whether the data are the phantom: the title then says so.

    Returns
    -------
    list of Path
        In the order of `cases`.
    """
    found: dict[tuple[str, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for clip in clips:
        wanted = set(cases.values()) & {
            (video, frame)
            for video, frames in zip(clip["video"], clip["frame"].tolist(), strict=True)
            for frame in frames
        }
        if not wanted:
            continue
        with torch.inference_mode():
            predicted = predict(clip) >= 0
        for video, frame in wanted:
            place = clip["video"].index(video)
            time = clip["frame"][place].tolist().index(frame)
            truth = clip["masks"][place, time, 0] > 0.5
            found[video, frame] = tuple(  # type: ignore[assignment]
                part.cpu().numpy() for part in (clip["frames"][place, time, 0], truth, predicted[place, time, 0])
            )
    paths = []
    for name, (video, frame) in cases.items():
        paths.append(folder / f"{name}.png")
        title = f"{name}: {video}, frame {frame}" + (f"\n{PHANTOM}" if embedded else "")
        with replacing(paths[-1]) as temporary:
            _figure(*found[video, frame], title).savefig(temporary, dpi=110)
    return paths


def _figure(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray, title: str) -> Figure:
    overlap, total = (truth & predicted).sum(), truth.sum() + predicted.sum()
    figure = Figure(figsize=(10, 3.2))
    dice = f"{2 * overlap / total:.3f}" if total else "1 (both empty)"
    figure.suptitle(f"{title}   Dice {dice}", fontsize=10, parse_math=False)  # names of videos may have a $
    error = np.ones((*truth.shape, 3))
    error[truth & predicted] = (0.8, 0.8, 0.8)
    error[predicted & ~truth] = (0.84, 0.37, 0.0)  # vermillion and blue of Okabe and Ito's palette
    error[truth & ~predicted] = (0.0, 0.45, 0.7)
    places = figure.subplots(1, 4, gridspec_kw=PLACES)
    for axes, name, picture in zip(places, COLUMNS, (image, truth, predicted, error), strict=True):
        axes.imshow(picture, cmap="gray", interpolation="nearest")
        axes.set_title(name if name != "error" else "error (orange: too much, blue: missed)", fontsize=9)
        axes.set(xticks=[], yticks=[])  # or their places would be worked out, to be thrown away
        axes.set_axis_off()
    return figure
