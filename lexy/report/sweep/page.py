"""A sweep as one HTML page with its tables beside it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from lexy.errors import UserError
from lexy.evaluation.bootstrap import FEW_GROUPS
from lexy.evaluation.metrics import in_order
from lexy.files import fingerprint, replacing
from lexy.report import PHANTOM, html
from lexy.report.sortable import SCRIPT
from lexy.report.sweep.figures import Pictures
from lexy.report.sweep.grouping import Comparison
from lexy.report.sweep.run_folders import KILLED, Run
from lexy.report.sweep.sections import DRAWN_TABLES, comparison_section, jobs_section
from lexy.report.sweep.tables import csv, differences_csv, latex, markdown
from lexy.report.sweep.variation import varied

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
MARK = "<!-- lexy-report -->"
FILES = {
    "comparison.csv": "every metric of every row, a line for each",
    "differences.csv": "every paired difference from the reference",
    "comparison.md": "the main metrics as Markdown",
    "comparison.tex": "the main metrics as LaTeX",
}


@dataclass(frozen=True)
class Sweep:
    """The content of a report.

    Attributes
    ----------
    title : str
    runs : sequence of Run
        All that were found.
    comparisons : sequence of Comparison
    replaced, broken : mapping
        Folder of a run that is left out → the folder of the newer one, or why it cannot be read.
    """

    title: str
    runs: Sequence[Run]
    comparisons: Sequence[Comparison]
    replaced: Mapping[str, str]
    broken: Mapping[str, str]


def write_report(folder: Path, sweep: Sweep) -> Path:
    """Write `page.html` and `FILES`; return the path of the page.

    Raises
    ------
    UserError
        One of these files exists and is not of a former report.
    """
    page = folder / "page.html"
    require_own(folder)
    text = {
        "page.html": page_html(sweep),
        "comparison.csv": csv(sweep.comparisons).to_csv(index=False),
        "differences.csv": differences_csv(sweep.comparisons).to_csv(index=False),
        "comparison.md": markdown(sweep.comparisons),
        "comparison.tex": latex(sweep.comparisons),
    }
    for name, content in text.items():  # the page first: it says whose the others are
        with replacing(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return page


def require_own(folder: Path) -> None:
    """Raise UserError if the folder holds files of these names that no report wrote."""
    names = [name for name in ("page.html", *FILES) if (folder / name).exists()]
    page = folder / "page.html"
    if names and not (page.is_file() and MARK in page.read_text(encoding="utf-8", errors="replace")):
        raise UserError(f"{folder / names[0]} was not written by lexy-report: give another --output.")


def page_html(sweep: Sweep) -> str:
    """Write the page as HTML."""
    pictures, notes = Pictures(), _data_notes(sweep.comparisons)
    drawn = [
        comparison_section(one, pictures, note, drawn=at < DRAWN_TABLES)
        for at, (one, note) in enumerate(zip(sweep.comparisons, notes, strict=True))
    ]
    sections = [
        MARK,
        html.warnings(_warnings(sweep, pictures)),
        _tiles(sweep),
        *drawn,
        jobs_section(sweep.runs, sweep.replaced, sweep.broken),
        _reading(sweep.comparisons),
        html.files(FILES),
    ]
    return html.page(sweep.title, sections, STYLE, SCRIPT)


def _tiles(sweep: Sweep) -> str:
    states = Counter("unreadable" if str(run.folder) in sweep.broken else run.state for run in sweep.runs)
    tiles = [(state, str(count)) for state, count in sorted(states.items(), key=lambda item: item[0] != "done")]
    tiles.append(("comparisons", str(len(sweep.comparisons))))
    tiles.append(("rows", str(sum(len(one.networks) for one in sweep.comparisons))))
    body = "".join(f"<div><span>{escape(name)}</span><b>{escape(value)}</b></div>" for name, value in tiles)
    return f'<section><div class="tiles">{body}</div></section>'


def _warnings(sweep: Sweep, pictures: Pictures) -> list[str]:
    found = []
    if any(one.embedded for one in sweep.comparisons):
        found.append(PHANTOM)
    if not sweep.comparisons:
        found.append("no run is done: there is nothing to compare yet")
    wrong = [run for run in sweep.runs if run.state in ("failed", "interrupted", "unread", KILLED)]
    if wrong or sweep.broken:
        found.append(
            f"{len(wrong) + len(sweep.broken)} of {len(sweep.runs)} jobs have no result: see Jobs for the reasons"
        )
    few = [int(one.summary["groups"].max()) for one in sweep.comparisons]
    if few and min(few) < FEW_GROUPS:
        found.append(f"intervals over fewer than {FEW_GROUPS} groups are rough ones (fewest here: {min(few)})")
    if any("folds" in one.title for one in sweep.comparisons):
        found.append("folds of one recording are not independent experiments")
    if any(row.notes for one in sweep.comparisons for row in one.rows):
        found.append(
            "some rows lack folds that others have: they say so, and are compared over the shared groups alone"
        )
    if len(sweep.comparisons) > DRAWN_TABLES:
        found.append(f"only the first {DRAWN_TABLES} comparisons have pictures")
    if pictures.left_out:
        found.append(f"{pictures.left_out} pictures were left out to keep the page small")
    return found


def _data_notes(comparisons: Sequence[Comparison]) -> list[str]:
    """By which settings of the data a comparison differs from others of the same data."""
    data = [(one.networks[0].runs[0].settings.get("data") or {}) for one in comparisons]
    kinds = [
        fingerprint([str(value.get("_target_")), one.title.split(" (data ")[0]])
        for value, one in zip(data, comparisons, strict=True)
    ]
    notes = [""] * len(comparisons)
    for kind in set(kinds):
        members = [at for at, each in enumerate(kinds) if each == kind]
        columns = varied([data[at] for at in members]) if len(members) > 1 else {}
        for place, at in enumerate(members):
            told = [f"data.{key}={values[place]}" for key, values in columns.items()]
            more = f", and {len(told) - 8} more" if len(told) > 8 else ""
            notes[at] = f"Its data: {', '.join(told[:8])}{more}." if told else ""
            if len(members) > 1 and not told:
                notes[at] = "Its data have another fingerprint than those of the same settings: they were made anew."
    return notes


def _reading(comparisons: Sequence[Comparison]) -> str:
    shown = in_order(name for one in comparisons for name in one.summary["metric"])
    lower = "; ".join(each.title for each in shown if not each.larger_is_better)
    points: tuple[str, ...] = (
        "Rows are settings. Runs that differ in their seed are averaged within a group, folds are joined; then comes "
        "the mean over groups.",
        "Below each mean: 95 % interval by bootstrap over groups (BCa), and n, the number of groups. Higher is better, "
        f"but for: {lower or 'none'}.",
        "Runs on other data, splits, starts or ways through time stand in a table of their own.",
        "The reference is the best row by validation Dice, unless --reference named another; rows are in this order.",
        "Click on a heading to sort, again to turn the order; type words to see only the rows that have them all.",
    )
    return html.section("How to read it", "<ul>" + "".join(f"<li>{escape(point)}</li>" for point in points) + "</ul>")
