"""Pictures of a comparison: Dice over time, over contrast, over epochs; the clips themselves."""

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from lexy.evaluation.bootstrap import bootstrap_means
from lexy.evaluation.sequences import CONTRAST_EDGES
from lexy.evaluation.summary import profile
from lexy.report import PHANTOM, html
from lexy.report.sweep.grouping import Comparison, Row
from lexy.report.themes import DARK, LIGHT

DRAWN = 5  # networks in a figure
BASELINES = ("copied first mask", "frame by frame", "Otsu threshold")  # of which the first two that there are
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")
GREY, DOTS = "#8a8a8a", ("--", ":")
STRIPS = 3  # networks whose clips are shown
WIDTH = 1000  # of a picture of clips, pixels
PICTURES = 5_000_000  # bytes of all pictures of a page, 6.7 MB as text


class Pictures:
    """The pictures of one page, up to a total size.

    Parameters
    ----------
    room : int
        Bytes.
    """

    def __init__(self, room: int = PICTURES) -> None:
        self.room, self.left_out = room, 0

    def drawn(self, draw: Callable[[], Figure], description: str) -> str:
        """Draw a figure as HTML, in the colours of light and of dark pages."""
        return self._placed(description, *(_webp(draw, theme) for theme in (LIGHT, DARK)))

    def file(self, path: Path, description: str) -> str:
        """Embed a picture from disk, made smaller."""
        with Image.open(path) as opened:
            image = opened.convert("RGB")
            if image.width > WIDTH:
                image = image.resize(
                    (WIDTH, max(1, round(image.height * WIDTH / image.width))), Image.Resampling.LANCZOS
                )
            buffer = io.BytesIO()
            image.save(buffer, "WEBP", quality=70, method=2)
        return self._placed(description, buffer.getvalue())

    def _placed(self, description: str, data: bytes, dark: bytes | None = None) -> str:
        size = len(data) + len(dark or b"")
        if size > self.room:
            self.left_out += 1
            return '<p class="note">A picture was left out to keep the page small.</p>'
        self.room -= size
        return html.picture(data, description, dark=dark, kind="webp")


def chosen(comparison: Comparison) -> list[Row]:
    """Choose the rows to draw: the reference and the best networks by validation Dice, then two baselines."""
    networks = comparison.networks[:DRAWN]
    reference = next(row for row in comparison.rows if row.name == comparison.reference)
    if reference.runs and all(row.name != reference.name for row in networks):
        networks = [*networks[: DRAWN - 1], reference]
    others = {row.name: row for row in comparison.rows if not row.runs}
    return [*networks, *[others[name] for name in BASELINES if name in others][:2]]


def draw_dice(comparison: Comparison) -> Figure:
    """Draw Dice over time (of sequences) and over contrast, with bands of 95 % over groups."""
    rows = chosen(comparison)
    moving = any(row.frames.groupby(["seed", "group", "video"]).size().max() > 1 for row in rows)
    figure = Figure(figsize=(11 if moving else 6.5, 4.2 + 0.22 * len(rows)), layout="constrained")
    if comparison.embedded:
        figure.suptitle(PHANTOM, fontsize=9)
    axes = figure.subplots(1, 2 if moving else 1, sharey=True, squeeze=False)[0]
    if moving:
        for row, style in zip(rows, _styles(rows), strict=True):
            _band(axes[0], row, row.frames["frame"], style, lambda frame: frame)
        axes[0].set(xlabel="frame", ylabel="Dice, mean over groups")
    if all("contrast" in row.frames for row in rows):
        _over_contrast(axes[-1], rows)
    axes[0].set_ylabel("Dice, mean over groups")
    handles = [Line2D([], [], label=row.name, **style) for row, style in zip(rows, _styles(rows), strict=True)]
    figure.legend(handles=handles, loc="outside lower left", ncols=2 if moving else 1, fontsize=9)
    return _gridded(figure)


def draw_learning(comparison: Comparison) -> Figure:
    """Draw the validation Dice over epochs: a thin line for each run, a thick one for their mean."""
    rows = [row for row in chosen(comparison) if row.runs]
    figure = Figure(figsize=(7, 3.6 + 0.22 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for row, style in zip(rows, _styles(rows), strict=True):
        curves = []
        for one in row.runs:
            known = {int(e["epoch"]): e["val/dice"] for e in one.run.epochs() if {"epoch", "val/dice"} <= set(e)}
            curves.append(pd.Series(known, dtype=float))
            if len(row.runs) > 1:
                axes.plot(curves[-1].index, curves[-1], color=style["color"], linewidth=0.6, alpha=0.5)
        mean = pd.concat(curves, axis=1).dropna().mean(axis=1)  # epochs that all of them reached
        marker = "o" if len(mean) < 2 else ""
        axes.plot(mean.index, mean, label=row.name, marker=marker, markersize=4, **style)
    axes.set(xlabel="epoch", ylabel="validation Dice")
    figure.legend(loc="outside lower left", fontsize=9)
    return _gridded(figure)


def _over_contrast(axes: Axes, rows: Sequence[Row]) -> None:
    edges, held = np.asarray(CONTRAST_EDGES), set()
    for row, style in zip(rows, _styles(rows), strict=True):
        contrast = row.frames["contrast"].to_numpy(float)
        known = ~np.isnan(contrast)
        bins = np.digitize(contrast, edges)
        bins[contrast == edges[-1]] = len(edges) - 1
        held |= set(bins[known].tolist())
        if known.any():
            _band(axes, row, bins[known], style, lambda place: place - 0.5, known)
    axes.set_xticks(range(len(edges)), [f"{edge:g}" for edge in edges], fontsize=8, rotation=60)
    if held:
        axes.set_xlim(min(held) - 1.05, max(held) + 0.05)
    axes.set_xlabel("contrast of the frame (edges of bins)")


def _band(
    axes: Axes,
    row: Row,
    by: Sequence[int] | pd.Series,
    style: dict[str, Any],
    place: Callable[[np.ndarray], np.ndarray],
    inside: np.ndarray | None = None,
) -> None:
    curve = bootstrap_means(profile(row.frames if inside is None else row.frames[inside], "dice", by), resamples=1999)
    x, (mean, low, high) = (
        place(curve.index.to_numpy(float)),
        (curve[name].astype(float) for name in ("mean", "low", "high")),
    )
    axes.plot(x, mean, marker="o", markersize=2.5, linewidth=1.5, **style)
    if row.runs:
        axes.fill_between(x, low, high, color=style["color"], alpha=0.15, linewidth=0)


def _styles(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Colours for networks, grey for baselines."""
    colours, dots = iter(COLOURS), iter(DOTS)
    return [
        {"color": next(colours), "linestyle": "-"} if row.runs else {"color": GREY, "linestyle": next(dots)}
        for row in rows
    ]


def _gridded(figure: Figure) -> Figure:
    for axes in figure.axes:
        axes.grid(color=GREY, alpha=0.25, linewidth=0.8)
        axes.set_axisbelow(True)
    return figure


def _webp(draw: Callable[[], Figure], theme: dict[str, Any]) -> bytes:
    raw, small = io.BytesIO(), io.BytesIO()
    with mpl.rc_context(theme):  # type: ignore[arg-type]
        draw().savefig(raw, format="png", dpi=130)
    with Image.open(raw) as image:
        image.convert("RGB").save(small, "WEBP", quality=82, method=2)
    return small.getvalue()


def figures(comparison: Comparison, pictures: Pictures) -> str:
    """Draw Dice over time and contrast, and learning curves, as HTML."""
    dice = pictures.drawn(partial(draw_dice, comparison), f"Dice over time and contrast: {comparison.title}")
    rows, note = chosen(comparison), ""
    if len(rows) < len(comparison.rows):
        note = (
            f" {len(rows)} of {len(comparison.rows)} rows: the reference, the best by validation Dice, two baselines."
        )
    text = f'<p class="note">Bands: 95 % by bootstrap over groups, at each point by itself.{note}</p>'
    learning = ""
    if any("val/dice" in epoch for row in rows for one in row.runs for epoch in one.run.epochs()):
        learning = pictures.drawn(partial(draw_learning, comparison), f"Learning curves: {comparison.title}")
        thin = any(len(row.runs) > 1 for row in rows)
        text += '<p class="note">Thin lines: single runs.</p>' if thin else ""
    figures = f'<div class="figures"><div class="wide">{dice}</div><div class="small">{learning}</div></div>'
    return f"<h3>Over time, contrast and epochs</h3>{figures}{text}"


def strips(comparison: Comparison, pictures: Pictures) -> str:
    """Show film strips of the worst and median clips of the best networks; of stills, their worst and median frames."""
    parts = []
    for row in comparison.networks[:STRIPS]:
        run = row.runs[0].run
        paths = [path for path in (run.panel("clips"),) if path] or [
            p for p in (run.panel("worst"), run.panel("median")) if p
        ]
        shown = "".join(f'<div class="strip">{pictures.file(path, f"{path.stem}: {row.name}")}</div>' for path in paths)
        if shown:
            many = f", the first of {len(row.runs)} runs" if len(row.runs) > 1 else ""
            parts.append(f'<h4>{html.text(row.name)}</h4><p class="note">{html.text(run.name + many)}</p>{shown}')
    if not parts:
        return ""
    few = (
        f"of the {len(parts)} best of {len(comparison.networks)} networks, "
        if len(parts) < len(comparison.networks)
        else ""
    )
    return f'<h3>Worst and median clips</h3><p class="note">From validation, {few}by validation Dice.</p>' + "".join(
        parts
    )
