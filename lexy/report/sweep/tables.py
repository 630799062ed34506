"""The tables of a report: what they say, as CSV, Markdown and LaTeX."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lexy.evaluation.metrics import Metric, in_order, metric
from lexy.report.markdown import escaped, markdown_table
from lexy.report.sweep.grouping import Comparison

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


def shown_metrics(comparison: Comparison) -> list[Metric]:
    """Return the metrics that some row has."""
    return in_order(comparison.summary["metric"])


def cell(metric: Metric, mean: float, low: float, high: float, groups: int) -> str:
    """Write a mean with its interval and the number of groups; – where there is none."""
    if np.isnan(mean):
        return "–"
    interval = "" if np.isnan(low) else f"{metric.text(low)}–{metric.text(high)}, "
    return f"{metric.text(mean)} ({interval}n={groups})"


def cells(comparison: Comparison) -> dict[tuple[str, str], tuple[float, float, float, int]]:
    """Index the summary: (row, metric) → mean, low, high, groups."""
    columns = ["row", "metric", "mean", "low", "high", "groups"]
    rows = comparison.summary[columns].itertuples(index=False, name=None)
    return {(row, metric): (mean, low, high, groups) for row, metric, mean, low, high, groups in rows}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a dict for each row."""
    return [dict(zip(map(str, table), row, strict=True)) for row in table.itertuples(index=False, name=None)]


def csv(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Make the table of every metric of every row, a line for each."""
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
    """Make the table of every paired difference, a line for each."""
    parts = [one.differences.assign(table=one.title) for one in comparisons if not one.differences.empty]
    return _listed(parts)


def markdown(comparisons: Sequence[Comparison]) -> str:
    """Write the main metrics as Markdown, a table for each comparison."""
    parts = ["# Comparison\n\nMean (95 % interval, n = groups). Δ: row minus reference, p corrected by Holm.\n"]
    for one in comparisons:
        head, *rows = _grid(one)
        table = markdown_table([escaped(text) for text in head], [[escaped(text) for text in row] for row in rows])
        parts.append(f"## {one.title}\n\nReference: {escaped(one.reference)}\n\n{table}\n")
    return "\n".join(parts)


def latex(comparisons: Sequence[Comparison]) -> str:
    """Write the main metrics as LaTeX: `\\input` it in a document; it needs no package."""
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
    """Escape text for LaTeX."""
    return "".join(TEX.get(one, one) for one in " ".join(text.split()))


def p_value(p: float) -> str:
    """Write a p value; below 0.001 as <0.001, – for NaN."""
    return "–" if np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def _grid(comparison: Comparison) -> list[list[str]]:
    """Heading and rows of the main metrics, with the difference of Dice from the reference."""
    metrics = [each for each in shown_metrics(comparison) if each.compared and "means" in each.markdown]
    of, rows = cells(comparison), []
    delta: dict[str, str] = {}
    if not comparison.differences.empty:
        dice = comparison.differences[comparison.differences["metric"] == "dice"]
        delta = {
            one["row"]: f"{metric('dice').text(one['difference'], '+')} (p {p_value(one['p_holm'])})"
            for one in records(dice)
        }
    for row in comparison.rows:
        found = [(each, of.get((row.name, each.name))) for each in metrics]
        texts = ["–" if values is None else cell(each, *values) for each, values in found]
        rows.append([row.name, *texts, delta.get(row.name, "–")])
    return [["", *(each.title for each in metrics), "Δ Dice"], *rows]


def _listed(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put tables under each other, with the title of their comparison as first column."""
    if not parts:
        return pd.DataFrame(columns=["table", "row", "metric"])
    table = pd.concat(parts, ignore_index=True)
    return table[["table", *(name for name in table if name != "table")]]
