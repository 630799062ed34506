"""Tables as Markdown, for documents."""

from collections.abc import Mapping

import pandas as pd

QUALITIES = {  # column of a comparison → its heading and decimals
    "dice_one_step": ("one-step Dice", 3),
    "dice": ("Dice", 3),
    "dice_worst_frame": ("worst frame", 3),
    "hd95": ("HD95, px", 2),
    "hd95_um": ("HD95, µm", 2),
    "nc_error": ("N/C error", 3),
}


def comparison_markdown(result: pd.DataFrame, facts: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """A comparison with its intervals, a line for each method.

    Parameters
    ----------
    result : DataFrame
        As `lexy.evaluation.comparison.comparison` gives it.
    facts : mapping, optional
        Further columns: heading → method → text; '–' for a method that is not in it.
    """
    facts = facts or {}
    shown = {q: title for q, title in QUALITIES.items() if q in result and result[q].notna().any()}
    head = ["", *(title for title, _ in shown.values()), *facts]
    lines = [_line(head), "|" + "---|" * len(head)]
    for name, row in result.iterrows():
        cells = [_cell(row, quality, decimals) for quality, (_, decimals) in shown.items()]
        lines.append(_line([str(name), *cells, *(column.get(str(name), "–") for column in facts.values())]))
    return "\n".join(lines)


def differences_markdown(result: pd.DataFrame) -> str:
    """Likewise the paired differences, reference minus method; * where the interval excludes 0."""
    shown = {q: t for q, t in QUALITIES.items() if f"{q}_difference" in result and q != "dice_one_step"}
    reference = str(result["reference"].iloc[0])
    lines = [_line([f"{reference} minus", *(title for title, _ in shown.values())]), "|" + "---|" * (len(shown) + 1)]
    for name, row in result.iterrows():
        if name != reference:
            cells = [_difference(row, quality, decimals) for quality, (_, decimals) in shown.items()]
            lines.append(_line([str(name), *cells]))
    return "\n".join(lines)


def _cell(row: pd.Series, quality: str, decimals: int) -> str:
    value, low, high = (row[f"{quality}{end}"] for end in ("", "_low", "_high"))
    if pd.isna(value):
        return "–"
    return f"{value:.{decimals}f}" + ("" if pd.isna(low) else f" ({low:.{decimals}f}–{high:.{decimals}f})")


def _difference(row: pd.Series, quality: str, decimals: int) -> str:
    value, low, high = (row[f"{quality}_difference{end}"] for end in ("", "_low", "_high"))
    if pd.isna(value):
        return "–"
    sure = pd.notna(low) and (low > 0 or high < 0)
    return f"{value:+.{decimals}f} ({low:+.{decimals}f} to {high:+.{decimals}f}){' *' if sure else ''}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
