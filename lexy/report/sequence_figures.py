"""Methods on sequences beside each other: Dice over time and contrast as a picture."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lexy.errors import UserError
from lexy.evaluation.sequences import over_contrast
from lexy.evaluation.summary import over_time
from lexy.files import replacing
from lexy.report import PHANTOM

# Okabe and Ito's palette without the yellow, which cannot be read on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D")
ONE_STEP = "dashed: one step from the true mask"


def draw_curves(tables: Mapping[str, pd.DataFrame], path: Path, *, embedded: bool) -> Path:
    """Draw Dice over time and over contrast, one line per method, dashed its one-step Dice where the table has it.

    Parameters
    ----------
    tables : mapping
        Method → per-frame rows with `contrast`.
    path : Path
        The picture to write.
    embedded : bool
        Whether the data are the phantom: the title then says so.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    UserError
        If there is no method, or more than colours and markers can tell apart; or as `over_contrast`.
    """
    styles = [{"color": colour, "marker": marker} for marker, colour in product(MARKERS, COLOURS)]
    if not 0 < len(tables) <= len(styles):
        raise UserError(f"{len(tables)} methods cannot be drawn in one picture: give 1 to {len(styles)}")
    with replacing(path) as temporary:
        _figure(tables, styles, embedded).savefig(temporary, dpi=130)
    return path


def _figure(tables: Mapping[str, pd.DataFrame], styles: list[dict[str, str]], embedded: bool) -> Figure:
    figure = Figure(figsize=(12, 5.4), layout="constrained")
    if embedded:
        figure.suptitle(PHANTOM, fontsize=11)
    time, contrast = figure.subplots(1, 2, sharey=True)
    handles = []
    for (name, table), style in zip(tables.items(), styles, strict=False):
        handles.append(Line2D([], [], label=name, markersize=4, **style))  # type: ignore[arg-type]
        for metric, line in (("dice", "-"), ("dice_one_step", "--")):
            if metric in table:
                _over_time(time, table, metric, {**style, "linestyle": line})
                _over_contrast(contrast, table, metric, {**style, "linestyle": line})
    if any("dice_one_step" in table for table in tables.values()):
        handles.append(Line2D([], [], color="0.3", linestyle="--", label=ONE_STEP))
    time.set(xlabel="frame", ylabel="Dice, mean over groups")
    _contrast_axis(contrast, tables)
    for axes in (time, contrast):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _over_time(axes: Axes, table: pd.DataFrame, metric: str, style: dict[str, str]) -> None:
    curve = over_time(table, metric)
    axes.plot(curve.index, curve, markersize=3, linewidth=1.4, **style)  # type: ignore[arg-type]


def _over_contrast(axes: Axes, table: pd.DataFrame, metric: str, style: dict[str, str]) -> None:
    """Bins equally wide, since those near zero matter most and are the narrowest; the last row has no contrast."""
    values = over_contrast(table, metric)[metric].iloc[:-1]
    axes.plot(values.index.to_numpy() - 0.5, values, markersize=3, linewidth=1.4, **style)  # type: ignore[arg-type]


def _contrast_axis(axes: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    """Ticks at the edges of those bins that hold frames, and how many frames have no place on the axis."""
    counts = [over_contrast(table) for table in tables.values()]
    bins = counts[0].iloc[:-1]
    axes.set_xticks(range(len(bins) - 1), [f"{edge:g}" for edge in bins["high"].iloc[:-1]], fontsize=8)
    held = [place for place in bins.index if any(table["frames"][place] for table in counts)]
    if held:
        axes.set_xlim(held[0] - 1.05, held[-1] + 0.05)
    zero = int((bins["high"] <= 0).sum())  # the bin that holds 0
    axes.axvspan(zero - 1, zero, color="0.93", zorder=0)
    unknown, total = sum(table["frames"].iloc[-1] for table in counts), sum(map(len, tables.values()))
    missing = f"\nnot shown: {unknown} of {total} rows, of unknown contrast" if unknown else ""
    axes.set_xlabel(f"contrast of the frame (edges of bins; grey: hardly any){missing}")
