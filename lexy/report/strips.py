"""Film strips: a few frames of each clip in a row, to look at."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from lexy.files import replacing

COLUMNS = 10
TRUTH, PREDICTION, BOTH = (0.90, 0.62, 0.0), (0.34, 0.71, 0.91), (1.0, 1.0, 1.0)  # orange and sky blue: Okabe and Ito
LEGEND = "outlines: orange truth, blue prediction, white both"


def draw_strips(
    frames: Sequence[NDArray[np.floating]],
    masks: Sequence[NDArray[np.floating]],
    contrasts: Sequence[NDArray[np.floating]],
    names: Sequence[str],
    title: str,
    path: Path,
    predictions: Sequence[NDArray[np.floating]] | None = None,
) -> None:
    """Draw clips, one below the other, each without and with the outlines of its nuclei.

    Parameters
    ----------
    frames, masks : sequence of ndarray (T, H, W)
        Of each clip: brightness in [0, 1], and what is above 0 where there is a nucleus.
    contrasts : sequence of ndarray (T,)
        Written over the frames.
    names : sequence of str
    title : str
    path : Path
        Of the PNG.
    predictions : sequence of ndarray (T, H, W), optional
        Predicted masks, outlined in a second colour.
    """
    outlined = list(zip(*([masks] if predictions is None else [masks, predictions]), strict=True))
    figure = Figure(figsize=(12, 0.5 + 2.6 * len(frames)), layout="constrained")
    figure.suptitle(title if predictions is None else f"{title}\n{LEGEND}", fontsize=10, parse_math=False)
    rows = figure.subplots(len(frames), 1, squeeze=False)[:, 0]
    for axes, frame, pieces, contrast, name in zip(rows, frames, outlined, contrasts, names, strict=True):
        shown = np.unique(np.linspace(0, len(frame) - 1, COLUMNS).round().astype(int))
        tiles = [_tile(frame[t], [piece[t] > 0 for piece in pieces]) for t in shown]
        axes.imshow(np.concatenate(tiles, axis=1), interpolation="nearest")
        width = frame.shape[2] + 1
        axes.set_xticks([(i + 0.5) * width for i in range(len(shown))])
        axes.set_xticklabels([f"{t}: {contrast[t]:+.2f}" for t in shown], fontsize=7)
        axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
        axes.set_yticks([])
        axes.set_ylabel(name, fontsize=6, parse_math=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _tile(frame: NDArray[np.floating], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """The frame above itself with outlines, and a grey margin: RGB."""
    picture = np.repeat(frame[:, :, None], 3, axis=2).astype(float)
    drawn = picture.copy()
    outlines = [mask & ~ndimage.binary_erosion(mask) for mask in masks]
    for outline, colour in zip(outlines, (TRUTH, PREDICTION), strict=False):
        drawn[outline] = colour
    if len(outlines) > 1:
        drawn[np.logical_and(*outlines)] = BOTH
    return np.pad(np.concatenate([picture, drawn]), ((0, 0), (0, 1), (0, 0)), constant_values=0.5)
