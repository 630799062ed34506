"""Draw the figures of a segmented video (N/C over time, half-times, film strip, overlay) and of conditions."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import center_of_mass
from scipy.stats import t as student

from lexy.evaluation.bootstrap import bootstrap_mean
from lexy.evaluation.half_times import usable
from lexy.report.video.overlay import CLEAR, Film, as_image, write_text

MEAN, FIT, LIGHT_ON = "C0", "C1", "C2"  # colours of a theme
QUANTITIES = {"export_half_time": "export", "return_half_time": "return"}


class TimeUnit(NamedTuple):
    """The unit in which times are drawn: its name, and its size in units of the table."""

    name: str
    size: float


def time_unit(cells: pd.DataFrame, longest: float) -> TimeUnit:
    """Return the unit of times: frames if the interval is unknown, minutes if `longest` exceeds 180 s, else seconds."""
    if (cells["unit"] == "frame").any():
        return TimeUnit("frames", 1)
    return TimeUnit("min", 60) if longest > 180 else TimeUnit("s", 1)


def draw_curves_of_cells(nuclei: pd.DataFrame, cells: pd.DataFrame, fit: NDArray[np.floating] | None = None) -> Figure:
    """Draw N/C of every nucleus over time, their mean with its 95 % band (Student's t over nuclei), and the light.

    The mean is over the trusted nuclei, or over all if none is trusted; the legend says which. Frames that are not
    fitted are left out of it.

    Parameters
    ----------
    nuclei, cells : DataFrame
        As `lexy-predict` writes them.
    fit : ndarray (n, 2), optional
        Fit of the mean: times in the unit of `cells`, and N/C.
    """
    figure = Figure(figsize=(6, 3.9), layout="constrained")
    axes = figure.subplots()
    time = "frame" if (cells["unit"] == "frame").any() else "seconds"
    unit = time_unit(cells, float(nuclei[time].max()))
    trusted = set(cells.loc[cells["trust"].astype(bool), "id"])
    chosen = nuclei[nuclei["id"].isin(trusted)] if trusted else nuclei
    _shade_light(axes, cells, unit, float(nuclei[time].max()))
    lines = [one[[time, "nc"]].to_numpy(float) / (unit.size, 1) for _, one in nuclei.groupby("id")]
    ink = mpl.rcParams["text.color"]
    faint = float(np.clip(6 / max(len(lines), 1), 0.05, 0.35))
    axes.add_collection(LineCollection(lines, colors=ink, linewidths=0.6, alpha=faint))
    axes.plot([], [], color=ink, linewidth=0.6, alpha=0.6, label=f"{len(lines)} nuclei")  # faint, it would not be seen
    curve = mean_curve(chosen[usable(chosen)], time)
    at = curve.index.to_numpy(float) / unit.size
    axes.fill_between(at, curve["low"], curve["high"], color=MEAN, alpha=0.3, linewidth=0)
    kind = f"{len(trusted)} trusted" if trusted else f"all {len(lines)}, none is trusted"
    axes.plot(at, curve["mean"], color=MEAN, linewidth=2, label=f"mean ({kind}), 95 % band")
    if fit is not None:
        axes.plot(fit[:, 0] / unit.size, fit[:, 1], color=FIT, linewidth=1.4, linestyle=(0, (4, 2)), label="fit")
    axes.set(
        xlabel="frame" if unit.name == "frames" else f"time ({unit.name})",
        ylabel="N/C",
        ylim=_robust_limits(nuclei["nc"]),
    )
    axes.margins(x=0.01)
    _annotate_outliers(axes, nuclei["nc"])
    figure.legend(loc="outside upper left", ncols=4, fontsize=9, handlelength=1.4, columnspacing=1.2)
    return figure


def mean_curve(nuclei: pd.DataFrame, time: str) -> pd.DataFrame:
    """Return the mean N/C at each time with its 95 % interval over nuclei; no interval for fewer than two nuclei.

    Parameters
    ----------
    nuclei : DataFrame
        A row for each nucleus and frame, with `nc`.
    time : str
        Column of times: `seconds` or `frame`.

    Returns
    -------
    DataFrame
        Indexed by time: `mean`, `low`, `high`, `n`. Times without N/C are NaN, with n = 0.
    """
    groups = nuclei.groupby(time)["nc"]
    mean, n = groups.mean(), groups.count()
    half = groups.sem() * student.ppf(0.975, np.maximum(n - 1, 1))
    return pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half, "n": n})


def draw_half_times(cells: pd.DataFrame) -> Figure:
    """Draw half-times of export and return: a dot for each nucleus, and the mean of the trusted ones with interval."""
    figure = Figure(figsize=(4.2, 3.9), layout="constrained")
    axes = figure.subplots()
    trust = cells["trust"].astype(bool)
    values = cells[list(QUANTITIES)]
    shown = values[trust] if trust.any() else values
    top = float(np.nanmax(shown.to_numpy(), initial=0)) * 1.15 or 1.0
    unit = time_unit(cells, top)
    size = 14 if len(cells) < 150 else 5
    labels = []
    for place, (column, name) in enumerate(QUANTITIES.items()):
        numbers = []
        for kind, of_kind, shift, width, face in (
            ("trusted", trust, 0.0, 0.2, MEAN),
            ("untrusted", ~trust, -0.36, 0.1, "none"),
        ):
            known = values.loc[of_kind, column].dropna().to_numpy()
            drawn = known[known <= top]
            x = place + shift + _swarm_shifts(drawn / top, width)
            axes.scatter(x, drawn / unit.size, s=size, edgecolors=MEAN, facecolors=face, linewidths=0.8, alpha=0.75)
            beyond = f"\n({len(known) - len(drawn)} beyond)" if len(drawn) < len(known) else ""
            numbers.append(f"{len(known)} {kind}{beyond}")
        _draw_mean(axes, place + 0.36, values.loc[trust, column].dropna().to_numpy() / unit.size)
        missing = int(values[column].isna().sum())
        labels.append("\n".join([name, *numbers, *([f"{missing} without"] if missing else [])]))
    axes.set_xticks(range(len(labels)), labels, linespacing=1.3)
    axes.set(xlim=(-0.6, len(labels) - 0.5), ylim=(0, top / unit.size), ylabel=f"half-time ({unit.name})")
    axes.tick_params(axis="x", length=0)
    return figure


def draw_conditions(summary: pd.DataFrame) -> Figure:
    """Draw a panel for each quantity: mean and 95 % interval over replicates, one condition below the other.

    Parameters
    ----------
    summary : DataFrame
        `condition, quantity, mean, low, high, replicates, cells`; one row for each condition and quantity. NaN as low
        and high: no interval is drawn.
    """
    conditions = list(dict.fromkeys(summary["condition"].astype(str)))
    quantities = list(dict.fromkeys(summary["quantity"].astype(str)))
    figure = Figure(figsize=(max(6.0, 1.6 + 3 * len(quantities)), 1.1 + 0.42 * len(conditions)), layout="constrained")
    panels = figure.subplots(1, len(quantities), sharey=True, squeeze=False)[0]
    for axes, quantity in zip(panels, quantities, strict=True):
        rows = summary[summary["quantity"].astype(str) == quantity].assign(
            condition=lambda row: row["condition"].astype(str)
        )
        places = rows["condition"].map(conditions.index)
        bars = np.abs(rows[["low", "high"]].sub(rows["mean"], axis=0).to_numpy(float).T)
        axes.errorbar(rows["mean"], places, xerr=bars, fmt="o", color=MEAN, markersize=5, capsize=3, linewidth=1.4)
        axes.set_xlabel(quantity.replace("_", " "))
        axes.set_xlim(left=0 if rows[["mean", "low"]].min().min() >= 0 else None)
    counts = summary.groupby(summary["condition"].astype(str))[["replicates", "cells"]].max()
    labels = [f"{name}\n{counts['replicates'][name]} repl., {counts['cells'][name]} cells" for name in conditions]
    panels[0].set_yticks(range(len(conditions)), labels, fontsize=9)
    panels[0].set_ylim(len(conditions) - 0.5, -0.5)
    return figure


def draw_film_strip(film: Film, count: int = 8, width: int = 264, across: int = 4) -> Image.Image:
    """Draw evenly spaced frames with the outlines of their nuclei and their times.

    Parameters
    ----------
    film : Film
    count : int
        Largest number of frames, at least 1.
    width : int
        Width of a frame in pixels.
    across : int
        Frames in a row.

    Returns
    -------
    PIL.Image.Image
        Image of mode P, to be saved as PNG with `transparency=overlay.CLEAR`.
    """
    tiles = [
        np.pad(film.render_with_time(at, width), ((0, 6), (0, 6)), constant_values=CLEAR)
        for at in film.spaced_frames(count)
    ]
    tiles += [np.full_like(tiles[0], CLEAR)] * (-len(tiles) % across if len(tiles) > across else 0)
    rows = [np.concatenate(tiles[start : start + across], axis=1) for start in range(0, len(tiles), across)]
    return as_image(np.concatenate(rows)[:-6, :-6])


def draw_overlay_frame(film: Film, at: int, width: int = 2048) -> Image.Image:
    """Draw one large frame with the outlines of its nuclei and their ids.

    Parameters
    ----------
    film : Film
    at : int
        Index of the frame.
    width : int
        Largest width in pixels.

    Returns
    -------
    PIL.Image.Image
        Image of mode P.
    """
    painted = film.render(at, width)
    labels = np.asarray(film.labels(at))
    ids = np.unique(labels[labels > 0])
    scale = painted.shape[1] / labels.shape[1]
    centres = center_of_mass(labels > 0, labels, ids) if len(ids) else []
    diameter = 2 * np.sqrt((labels > 0).sum() / max(len(ids), 1) / np.pi) * scale
    texts = [((x + 0.5) * scale, (y + 0.5) * scale, str(one)) for one, (y, x) in zip(ids, centres, strict=True)]
    write_text(painted, texts, size=float(np.clip(0.5 * diameter, 12, painted.shape[1] / 50)), anchor="mm")
    return as_image(painted)


def _shade_light(axes: Axes, cells: pd.DataFrame, unit: TimeUnit, end: float) -> None:
    """Shade the time with light; if it was detected for each cell, use the median over cells."""
    known = cells.dropna(subset=["light_on"])
    if known.empty:
        return
    on, off = known["light_on"].median(), known["light_off"].median()
    found = "found" if (known["light"] == "found").any() else "given"
    last = off if np.isfinite(off) else end
    axes.axvspan(on / unit.size, last / unit.size, color=LIGHT_ON, alpha=0.22, linewidth=0, label=f"light ({found})")


def _robust_limits(values: "pd.Series[float]") -> tuple[float, float]:
    """Return axis limits that outliers do not stretch: the 1st to 99th percentile, and its width to either side."""
    known = values.dropna()
    if known.empty:
        return 0.0, 1.0
    low, high = np.percentile(known, (1, 99))
    room = high - low or 0.1
    return max(float(known.min()), low - room) - 0.05 * room, min(float(known.max()), high + room) + 0.05 * room


def _annotate_outliers(axes: Axes, values: "pd.Series[float]") -> None:
    low, high = axes.get_ylim()
    outside = int(((values < low) | (values > high)).sum())
    if outside:
        axes.annotate(
            f"{outside} of {values.count()} values lie outside",
            (1, 0), xycoords="axes fraction", xytext=(-4, 4), textcoords="offset points", ha="right", fontsize=8,
        )  # fmt: skip


def _swarm_shifts(heights: NDArray[np.floating], width: float) -> NDArray[np.floating]:
    """Return horizontal shifts, at most `width`, that keep dots of similar height (share of the axis) apart."""
    shifts = np.zeros(len(heights))
    bins = np.floor(heights * 40)
    for one in np.unique(bins):
        members = np.flatnonzero(bins == one)
        spread = min(width, 0.022 * (len(members) - 1))
        shifts[members] = np.linspace(-spread, spread, len(members)) if len(members) > 1 else 0
    return shifts


def _draw_mean(axes: Axes, place: float, values: NDArray[np.floating]) -> None:
    if not len(values):
        return
    mean, low, high, _ = bootstrap_mean(values)
    error = None if np.isnan(low) else [[mean - low], [high - mean]]
    axes.errorbar([place], [mean], yerr=error, fmt="D", color=FIT, markersize=5, capsize=3, linewidth=1.6, zorder=3)
