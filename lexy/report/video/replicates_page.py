"""Write many videos as one HTML page: statistics over replicates for each condition."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from lexy.files import replacing
from lexy.report import html
from lexy.report.themes import figure
from lexy.report.video.figures import draw_conditions
from lexy.report.video.page import STYLE, Facts

COLUMNS = ["condition", "quantity", "mean", "low", "high", "replicates", "cells"]


def write_replicates_page(
    path: Path, summary: pd.DataFrame, facts: Facts, files: Mapping[str, str] | None = None
) -> Path:
    """Write the page of many videos, and its figure `conditions.png` beside it.

    Parameters
    ----------
    path, facts, files
        As of `write_video_page`; `facts["video"]` is the title.
    summary : DataFrame
        As of `draw_conditions`.

    Returns
    -------
    Path
        `path`.
    """
    sections = [
        html.warnings(facts["warnings"]),
        html.section("Conditions", _conditions(summary, path.parent / "conditions.png")),
        html.section("What was done", "".join(html.tables(facts["done"], "these videos"))),
        html.files(files or {}),
    ]
    with replacing(path) as temporary:
        temporary.write_text(html.page(facts["video"], sections, STYLE), encoding="utf-8")
    return path


def _conditions(summary: pd.DataFrame, path: Path) -> str:
    if not summary["cells"].any():
        return '<p class="note">There is no nucleus to be trusted in any video.</p>'
    rows = [
        [str(condition), html.words(str(quantity)), html.interval(mean, low, high), int(replicates), int(cells)]
        for condition, quantity, mean, low, high, replicates, cells in summary[COLUMNS].itertuples(index=False)
    ]
    table = html.table(["condition", "quantity", "mean (95 % interval)", "replicates", "cells"], rows)
    drawn = figure(partial(draw_conditions, summary), path, "Mean and interval of each condition")
    note = "Mean and 95 % interval over replicates; where there are too few of them for an interval, the mean alone."
    return f'{drawn}<p class="note">{note}</p><div class="scroll">{table}</div>'
