"""Draw the figures of a stills store: a sheet of crops, and histograms for each split."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

COLOURS = {"train": "#0072B2", "val": "#E69F00", "test": "#009E73"}  # of Okabe and Ito's palette
OUTLINE = "#FFB000"
ACROSS = 6  # crops in a row of a sheet
BINS = 30


def draw_crops(images: NDArray[np.integer], masks: NDArray[np.uint8], captions: Sequence[str], title: str) -> Figure:
    """Draw crops with the outlines of their masks, six in a row.

    Parameters
    ----------
    images : ndarray of uint8 or uint16, shape (n, H, W)
        Range 0 to the maximum of the type; the square root is shown. n is at least 1.
    masks : ndarray of uint8, shape (n, H, W)
        1 = nucleus, 0 = background.
    captions : sequence of str
        One for each crop, of one or two lines.
    title : str
        Title of the sheet.
    """
    down = -(-len(images) // ACROSS)
    width, height = 1.75 * ACROSS, 2.1 * down + 0.4
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(down, ACROSS, squeeze=False)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.1 / height, top=1 - 0.72 / height, wspace=0.06, hspace=0.22)
    figure.text(0.01, 1 - 0.12 / height, title, fontsize=12, fontweight="bold", va="top")
    for axes in grid.flat:
        axes.set_axis_off()
    size = images.shape[2], images.shape[1]
    around = (np.arange(-1, side + 1) for side in size)  # a margin closes outlines at the border
    x, y = np.meshgrid(*around)
    for axes, image, mask, caption in zip(grid.flat, images, masks, captions, strict=False):
        axes.imshow(np.sqrt(image / np.iinfo(images.dtype).max), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.contour(x, y, np.pad(mask, 1), levels=[0.5], colors=OUTLINE, linewidths=1.1)
        axes.set(xlim=(-0.5, size[0] - 0.5), ylim=(size[1] - 0.5, -0.5))
        axes.set_title(caption, fontsize=6.5, pad=2.5, loc="left", linespacing=1.15, parse_math=False)
    return figure


def draw_histograms(table: pd.DataFrame, columns: Mapping[str, str], splits: Sequence[str]) -> Figure:
    """Draw histograms of quantities (columns) for each split (rows), with shared bins, in percent of a split's crops.

    Parameters
    ----------
    table : DataFrame
        One row per crop: `split` and the quantities, which may be NaN.
    columns : mapping
        Column of the table → label of its axis.
    splits : sequence of str
        Names of the splits, from top to bottom.
    """
    figure = Figure(figsize=(4.6 * len(columns), 1.9 * len(splits) + 0.5), layout="constrained")
    grid = figure.subplots(len(splits), len(columns), sharex="col", sharey="col", squeeze=False)
    for (column, label), axes_of_column in zip(columns.items(), grid.T, strict=True):
        known = table[column].dropna()
        edges = np.histogram_bin_edges(known, BINS) if len(known) else np.linspace(0, 1, BINS + 1)
        for split, axes in zip(splits, axes_of_column, strict=True):
            values = table.loc[table["split"] == split, column]
            _histogram(axes, values, edges, split)
        axes_of_column[-1].set_xlabel(label)
    for axes in grid[:, 0]:
        axes.set_ylabel("crops, % of the split")
    return figure


def _histogram(axes: Axes, values: "pd.Series[float]", edges: NDArray[np.floating], split: str) -> None:
    known = values.dropna()
    missing = f", {len(values) - len(known):,} unknown" if len(known) < len(values) else ""
    median = f", median {round(known.median(), 2):,.6g}" if len(known) else ""
    axes.set_title(f"{split}: {len(known):,} crops{missing}{median}", fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelbottom=True)
    if len(known):
        axes.hist(known, edges.tolist(), weights=np.full(len(known), 100 / len(known)), color=COLOURS.get(split, "0.5"))
        axes.axvline(known.median(), color="0.15", linewidth=1.2, linestyle="--")
