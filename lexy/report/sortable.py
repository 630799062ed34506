"""Tables that a reader can sort and filter in the page (`sort_filter.js`)."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

SCRIPT = Path(__file__).with_name("sort_filter.js").read_text(encoding="utf-8")


class Cell(NamedTuple):
    """Text, what it is sorted by where that is a number, and a smaller line below it."""

    text: str
    value: float | None = None
    below: str = ""


class Line(NamedTuple):
    """A row: its cells, the first of which is its heading, and its kind for the style sheet."""

    cells: Sequence[Cell]
    kind: str = ""


def sortable(header: Sequence[str], lines: Sequence[Line], name: str) -> str:
    """Write the table as HTML, with a box to filter it by; all text is escaped.

    Parameters
    ----------
    header : sequence of str
    lines : sequence of Line
    name : str
        What the rows are, for the box and for those who hear the page.
    """
    numeric = [any(line.cells[at].value is not None for line in lines) for at in range(len(header))]
    heads = "".join(
        f'<th scope="col"{_kind(number)}>{escape(text)}</th>' for text, number in zip(header, numeric, strict=True)
    )
    body = "".join(_line(line, numeric) for line in lines)
    return (
        f'<div class="filtered"><label hidden>Filter {escape(name)}: <input type="search" autocomplete="off">'
        '<output aria-live="polite"></output></label><div class="scroll" tabindex="0">'
        f'<table class="sortable" aria-label="{escape(name)}"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></div>"
    )


def number(value: float | None, spoken: str, below: str = "") -> Cell:
    """Make a cell that is sorted by a number; – where it is not known."""
    return Cell("–", np.nan) if value is None or not np.isfinite(value) else Cell(spoken, float(value), below)


def _line(line: Line, numeric: Sequence[bool]) -> str:
    kind = f' class="{line.kind}"' if line.kind else ""
    cells = (_cell(cell, at == 0, number) for at, (cell, number) in enumerate(zip(line.cells, numeric, strict=True)))
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _cell(cell: Cell, first: bool, numeric: bool) -> str:
    tag, scope = ("th", ' scope="row"') if first else ("td", "")
    kind = _kind(numeric) if numeric or first else ' class="words"' if len(cell.text) > 40 else ""
    value = "" if cell.value is None else f' data-value="{cell.value if np.isfinite(cell.value) else ""}"'
    below = f"<small>{escape(cell.below)}</small>" if cell.below else ""
    return f"<{tag}{scope}{kind}{value}>{escape(cell.text)}{below}</{tag}>"


def _kind(numeric: bool) -> str:
    return ' class="number"' if numeric else ""
