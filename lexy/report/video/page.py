"""Write a segmented video as one self-contained HTML page."""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from lexy.evaluation.bootstrap import FEW_GROUPS, bootstrap_mean
from lexy.files import replacing
from lexy.report import html
from lexy.report.themes import figure
from lexy.report.video.figures import (
    QUANTITIES,
    draw_curves_of_cells,
    draw_film_strip,
    draw_half_times,
    draw_overlay_frame,
    time_unit,
)
from lexy.report.video.overlay import CLEAR, Film, encode_webp

EMBEDDED = 3_500_000  # bytes (4.7 MB as text of the page) of the largest embedded film
PREVIEW = 60  # frames of the film embedded in place of a larger one
NUMBER = ' class="number"'

FLAGS = {
    "edge": "touches the border of the field: a part of it was not measured",
    "touching": "touches another nucleus: their ring and outline are less certain",
    "entered": "came in over the border after the first frame",
    "left": "went out over the border before the last frame",
    "lost": "its track ends inside the field",
    "late": "its track begins inside the field, after the first frame",
    "division": "divided, or came from a division",
    "jump": "its area or place changed more than a nucleus does from frame to frame",
    "filled": "was not found in this frame: the linker bridged it",
}

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


class Facts(TypedDict):
    """What the page says of the analysis.

    Attributes
    ----------
    video : str
        Name of the video: the title of the page.
    warnings : sequence of str
        Shown first.
    done : mapping
        Everything needed to repeat the analysis, in the order of the page: checkpoint, network, frames, interval, pixel
        size, start, light, corrections, versions; mappings become tables of their own.
    """

    video: str
    warnings: Sequence[str]
    done: Mapping[str, Any]


def write_video_page(
    path: Path,
    film: Film,
    nuclei: pd.DataFrame,
    cells: pd.DataFrame,
    facts: Facts,
    *,
    fit: NDArray[np.floating] | None = None,
    overlay: Path | None = None,
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write the page and, beside it, its figures `curves.png`, `half_times.png`, `film_strip.png`, `overlay.png`.

    Parameters
    ----------
    path : Path
        The page; its folder is made if it is missing, existing files are replaced.
    film : Film
    nuclei, cells : DataFrame
        A row for each nucleus and frame, and for each nucleus, as `lexy-predict` writes them.
    facts : Facts
        Any text; it is escaped.
    fit : ndarray (n, 2), optional
        Fit of the mean: times in the unit of `cells`, and N/C.
    overlay : Path, optional
        The film as a GIF in the same folder: embedded up to 3.5 MB, otherwise linked below an excerpt of its frames.
    files : mapping, optional
        Name of a file in the same folder → description; the page links to it.

    Returns
    -------
    Path
        `path`.
    """
    folder = path.parent
    nuclei = nuclei.assign(flags=nuclei["flags"].fillna("").astype(str))  # read back from CSV, '' is NaN
    cells = cells.assign(reason=cells["reason"].fillna("").astype(str))
    most = int(nuclei["frame"].mode().iloc[0]) if len(nuclei) else 0
    sections = [
        html.warnings(facts["warnings"]),
        _headline(cells),
        _curves(nuclei, cells, fit, folder),
        _pictures(film, most, overlay, folder),
        _cells(nuclei, cells),
        _reading(nuclei, cells),
        html.section("What was done", "".join(html.tables(facts["done"], "this video"))),
        html.files(files or {}),
    ]
    with replacing(path) as temporary:
        temporary.write_text(html.page(facts["video"], sections, STYLE, SCRIPT), encoding="utf-8")
    return path


def _headline(cells: pd.DataFrame) -> str:
    trusted = cells[cells["trust"].astype(bool)]
    unit = time_unit(cells, float(trusted[list(QUANTITIES)].mean().max()))
    tiles = [("nuclei followed", f"{len(cells):,}", ""), ("trusted", f"{len(trusted):,}", f"of {len(cells):,}")]
    for column, name in QUANTITIES.items():
        known = trusted[column].dropna().to_numpy(float)
        mean, low, high, _ = bootstrap_mean(known)
        limits = " to ".join(html.digits(limit / unit.size) for limit in (low, high))
        interval = f"95 % interval {limits} {unit.name}, " if np.isfinite(low) else ""
        value = f"{html.digits(mean / unit.size)} {unit.name}" if len(known) else "–"
        tiles.append((f"half-time of {name}", value, f"{interval}mean of {len(known):,} trusted nuclei"))
    body = "".join(
        f"<div><span>{escape(name)}</span><b>{escape(value)}</b><span class='note'>{escape(below)}</span></div>"
        for name, value, below in tiles
    )
    few = f" Intervals over fewer than {FEW_GROUPS} nuclei are rough." if len(trusted) < FEW_GROUPS else ""
    note = "Intervals by bootstrap over nuclei. Nuclei of one video are not independent experiments."
    return f'<section><div class="tiles">{body}</div><p class="note">{note}{few}</p></section>'


def _curves(nuclei: pd.DataFrame, cells: pd.DataFrame, fit: NDArray[np.floating] | None, folder: Path) -> str:
    if nuclei.empty:
        return html.section("Export and return", '<p class="note">There is no nucleus.</p>')
    curves = figure(
        partial(draw_curves_of_cells, nuclei, cells, fit), folder / "curves.png", "N/C of every nucleus over time"
    )
    times = figure(partial(draw_half_times, cells), folder / "half_times.png", "Half-times of export and return")
    text = (
        '<p class="note">N/C: mean of the nucleus over mean of the ring around it, both above the background. '
        "Half-times: filled dots are trusted nuclei, open ones untrusted; the diamond is the mean of the trusted ones "
        "with its 95 % interval.</p>"
    )
    figures = f'<div class="figures"><div class="curves">{curves}</div><div class="times">{times}</div></div>'
    return html.section("Export and return", figures + text)


def _pictures(film: Film, most: int, overlay: Path | None, folder: Path) -> str:
    strip = _png(draw_film_strip(film))
    _write(folder / "film_strip.png", strip)
    frame = _png(draw_overlay_frame(film, most))
    _write(folder / "overlay.png", frame)
    parts = [
        '<p class="note">The same nucleus has the same colour in every picture.</p>',
        f'<div class="scroll">{html.picture(strip, "Frames evenly spaced in time, with outlines")}</div>',
        _film(film, overlay),
        f"<h3>The frame with most nuclei ({escape(film.caption(most))}), with their ids</h3>",
        f'<div class="large">{html.picture(frame, "One frame with outlines and ids")}</div>',
        f'<p class="note">In full size: {html.link("overlay.png")}</p>',
    ]
    return html.section("What was found", "".join(parts))


def _film(film: Film, overlay: Path | None) -> str:
    """Return the GIF if it is small, otherwise a film of fewer frames and a link to the GIF."""
    if overlay is None:
        return ""
    if overlay.stat().st_size <= EMBEDDED:
        shown, kind, note = overlay.read_bytes(), "gif", ""
    else:
        frames, kind = min(film.n_frames, PREVIEW), "webp"
        while len(shown := encode_webp(film, most=frames)) > EMBEDDED and frames > 1:
            frames //= 2
        note = f'<p class="note">{frames} of {film.n_frames} frames; to keep: {html.link(overlay.name)}</p>'
    return f"<h3>Film</h3>{html.picture(shown, 'Film with outlines', kind=kind)}{note}"


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, transparency=CLEAR)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _cells(nuclei: pd.DataFrame, cells: pd.DataFrame) -> str:
    """Return the table of nuclei; `data-value` of a cell is what its column is sorted by, if not the text."""
    unit = "frames" if (cells["unit"] == "frame").any() else "s"
    fitted = [f"{name} {what}" for name in ("export", "return") for what in ("amplitude", f"half-time, {unit}")]
    spoken = ("trusted", "flags", "reason")
    header = "".join(
        f'<th scope="col"{"" if name in spoken else NUMBER}>{name}</th>'
        for name in ("id", "frames", "trusted", "N/C before", *fitted, "R²", "flags", "reason")
    )
    flags = nuclei.groupby("id")["flags"].agg(_joined).to_dict()
    body = "".join(_row(row, flags.get(row.id, "")) for row in cells.itertuples())
    box = '<label hidden><input type="checkbox" id="trusted"> trusted nuclei only</label>'
    table = f'<table id="cells"><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>'
    return html.section("Every nucleus", f'{box}<div class="scroll" tabindex="0">{table}</div>')


def _row(row: Any, flags: str) -> str:
    numbers = [(row.baseline, f"{row.baseline:.3f}")]
    for name in ("export", "return"):
        amplitude, *times = (
            getattr(row, f"{name}_{what}") for what in ("amplitude", "half_time", "half_time_low", "half_time_high")
        )
        numbers += [(amplitude, f"{amplitude:.3f}"), (times[0], html.interval(*times))]
    numbers.append((row.r2, f"{row.r2:.3f}"))
    trust = "yes" if row.trust else "no"
    cells = [f"<td{NUMBER}>{row.id}</td><td{NUMBER}>{row.frames}</td><td>{trust}</td>"]
    for value, spoken in numbers:
        known = bool(np.isfinite(value))
        cells.append(f'<td{NUMBER} data-value="{float(value) if known else ""}">{spoken if known else "–"}</td>')
    cells += [f"<td>{html.text(words)}</td>" for words in (flags, row.reason)]
    return f'<tr data-trust="{trust}">{"".join(cells)}</tr>'


def _joined(flags: "pd.Series[str]") -> str:
    return ", ".join(sorted({flag for several in flags.unique() for flag in several.split(";") if flag}))


def _reading(nuclei: pd.DataFrame, cells: pd.DataFrame) -> str:
    reasons = cells.loc[~cells["trust"].astype(bool), "reason"].value_counts()
    doubts = html.table(["not trusted because", "nuclei"], [[reason, int(n)] for reason, n in reasons.items()])
    found = nuclei[["id", "flags"]].assign(flags=nuclei["flags"].str.split(";")).explode("flags")
    counts = found[found["flags"] != ""].groupby("flags")["id"].nunique()
    rows = [[flag, FLAGS.get(str(flag), "–"), int(count)] for flag, count in counts.items()]
    text = (
        "<p>A nucleus that is not trusted is measured and listed like all others, but is left out of the means. "
        "Look at it in the film before using it.</p>"
    )
    flags = html.table(["flag", "which means: the nucleus", "nuclei"], rows) if rows else ""
    return html.section("How to read it", text + (doubts if len(reasons) else "") + flags)
