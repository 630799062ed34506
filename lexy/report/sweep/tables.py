"""The tables of a report: what they say, as CSV, Markdown and LaTeX."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lexy.report.markdown import QUALITIES
from lexy.report.sweep.grouping import Comparison

HEADINGS = {  # metric → its heading and decimals, in the order of the tables
    **{name: QUALITIES[name] for name in ("dice", "dice_worst_frame", "dice_one_step")},
    "dice_drop": ("one-step minus free-running", 3),
    "dice_first_frame": ("Dice, first frame", 3),
    "dice_last_frame": ("Dice, last frame", 3),
    "ever_below_0.7": ("videos ever below 0.7", 3),
    "iou": ("IoU", 3),
    "sensitivity": ("sensitivity", 3),
    "specificity": ("specificity", 3),
    "nc_error": QUALITIES["nc_error"],
    "hd95": QUALITIES["hd95"],
    "hd95_um": QUALITIES["hd95_um"],
    "hausdorff": ("Hausdorff, px", 2),
    "hausdorff_um": ("Hausdorff, µm", 2),
    "mean_surface_distance": ("surface distance, px", 2),
    "mean_surface_distance_um": ("surface distance, µm", 2),
    "surface_dice": ("surface Dice", 3),
}
TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "µ": r"\ensuremath{\mu}",
    "·": r"\ensuremath{\cdot}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "−": r"\ensuremath{-}",
    "Δ": r"\ensuremath{\Delta}",
}
TEX |= {one: "\\" + one for one in "&%$#_{}"}


def shown_metrics(comparison: Comparison, among: Sequence[str] = tuple(HEADINGS)) -> list[str]:
    """Those of the metrics that some row has."""
    have = set(comparison.summary["metric"])
    return [name for name in among if name in have]


def cell(mean: float, low: float, high: float, groups: int, decimals: int) -> str:
    """A mean with its interval and the number of groups; – where there is none."""
    if np.isnan(mean):
        return "–"
    interval = "" if np.isnan(low) else f"{low:.{decimals}f}–{high:.{decimals}f}, "
    return f"{mean:.{decimals}f} ({interval}n={groups})"


def cells(comparison: Comparison) -> dict[tuple[str, str], tuple[float, float, float, int]]:
    """(Row, metric) → mean, low, high, groups."""
    columns = ["row", "metric", "mean", "low", "high", "groups"]
    rows = comparison.summary[columns].itertuples(index=False, name=None)
    return {(row, metric): (mean, low, high, groups) for row, metric, mean, low, high, groups in rows}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A dict for each row."""
    return [dict(zip(map(str, table), row, strict=True)) for row in table.itertuples(index=False, name=None)]


def csv(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Every metric of every row: a line for each."""
    parts = []
    for one in comparisons:
        facts = pd.DataFrame(
            {
                "row": row.name,
                "kind": "network" if row.runs else "baseline",
                "runs": len(row.runs) or np.nan,
                "seeds": row.seeds or np.nan,
                "frames": len(row.frames),
                "n_missed": int(row.frames["missed"].sum()),
                "best_val_dice": row.best_val_dice,
                "settings": "; ".join(f"{key}={value}" for key, value in row.varied.items()),
                "lacking": "; ".join(row.notes),
            }
            for row in one.rows
        )
        parts.append(one.summary.merge(facts, on="row", how="left").assign(table=one.title))
    return _listed(parts)


def differences_csv(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Every paired difference: a line for each."""
    parts = [one.differences.assign(table=one.title) for one in comparisons if not one.differences.empty]
    return _listed(parts)


def markdown(comparisons: Sequence[Comparison]) -> str:
    """The main metrics, a table for each comparison."""
    parts = ["# Comparison\n\nMean (95 % interval, n = groups). Δ: row minus reference, p corrected by Holm.\n"]
    for one in comparisons:
        head, *rows = _grid(one)
        lines = [_line(head), "|" + "---|" * len(head), *map(_line, rows)]
        parts.append(f"## {one.title}\n\nReference: {_md(one.reference)}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def latex(comparisons: Sequence[Comparison]) -> str:
    """Likewise as LaTeX: `\\input` it in a document; it needs no package."""
    parts = ["% Mean (95 % interval, n = groups). Made by lexy-report.\n"]
    for one in comparisons:
        head, *rows = _grid(one)
        body = [" & ".join(map(tex, row)) + r" \\" for row in rows]
        lines = [
            r"\begin{table}",
            r"\caption{" + tex(f"{one.title}. Reference: {one.reference}") + "}",
            r"\begin{tabular}{l" + "r" * (len(head) - 1) + "}",
            r"\hline",
            " & ".join(map(tex, head)) + r" \\",
            r"\hline",
            *body,
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def tex(text: str) -> str:
    """Text as LaTeX shows it."""
    return "".join(TEX.get(one, one) for one in " ".join(text.split()))


def p_value(p: float) -> str:
    """As papers give it."""
    return "–" if np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def _grid(comparison: Comparison) -> list[list[str]]:
    """Heading and rows of the main metrics, with the difference of Dice from the reference."""
    metrics = shown_metrics(comparison, tuple(QUALITIES))
    of, rows = cells(comparison), []
    delta: Mapping[str, str] = {}
    if not comparison.differences.empty:
        dice = comparison.differences[comparison.differences["metric"] == "dice"]
        delta = {one["row"]: f"{one['difference']:+.3f} (p {p_value(one['p_holm'])})" for one in records(dice)}
    for row in comparison.rows:
        values = (of.get((row.name, name)) for name in metrics)
        texts = [
            "–" if one is None else cell(*one, QUALITIES[name][1]) for name, one in zip(metrics, values, strict=True)
        ]
        rows.append([row.name, *texts, delta.get(row.name, "–")])
    return [["", *(QUALITIES[name][0] for name in metrics), "Δ Dice"], *rows]


def _listed(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Under each other, the title of their comparison first."""
    if not parts:
        return pd.DataFrame(columns=["table", "row", "metric"])
    table = pd.concat(parts, ignore_index=True)
    return table[["table", *(name for name in table if name != "table")]]


def _md(text: str) -> str:
    escaped = "".join(f"\\{one}" if one in "\\|*_`<[" else one for one in text)
    return " ".join(escaped.split())


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(map(_md, texts)) + " |"
