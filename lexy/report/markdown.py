"""Tables as Markdown, for documents."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lexy.evaluation.metrics import Metric, in_order


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table; cells are Markdown, so text from elsewhere must have gone through `escaped`."""
    lines = [head, *rows]
    first, *others = ("| " + " | ".join(cells) + " |" for cells in lines)
    return "\n".join([first, "|" + "---|" * len(head), *others])


def escaped(text: str) -> str:
    """Escape text so that Markdown shows it as it is, on one line."""
    return " ".join("".join(f"\\{one}" if one in "\\|*_`<[" else one for one in text).split())


def comparison_markdown(result: pd.DataFrame, facts: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """Write a comparison with its intervals, a line for each method.

    Parameters
    ----------
    result : DataFrame
        As `lexy.evaluation.comparison.comparison` gives it.
    facts : mapping, optional
        Further columns: heading → method → text; '–' for a method that is not in it.
    """
    facts = facts or {}
    shown = [each for each in compared_metrics(result) if "means" in each.markdown and result[each.name].notna().any()]
    rows = [
        [
            escaped(str(name)),
            *(_mean(row, each) for each in shown),
            *(column.get(str(name), "–") for column in facts.values()),
        ]
        for name, row in result.iterrows()
    ]
    return markdown_table(["", *(each.title for each in shown), *facts], rows)


def differences_markdown(result: pd.DataFrame) -> str:
    """Write the paired differences, reference minus method; * where the interval excludes 0."""
    shown = [
        each
        for each in compared_metrics(result)
        if "differences" in each.markdown and f"{each.name}_difference" in result
    ]
    reference = str(result["reference"].iloc[0])
    rows = [
        [escaped(str(name)), *(_difference(row, each) for each in shown)]
        for name, row in result.iterrows()
        if name != reference
    ]
    return markdown_table([f"{escaped(reference)} minus", *(each.title for each in shown)], rows)


def compared_metrics(result: pd.DataFrame) -> list[Metric]:
    """Return the metrics of a comparison."""
    return in_order(name for name in map(str, result) if f"{name}_low" in result and not name.endswith("_difference"))


def excludes_zero(row: "pd.Series[float]", metric: Metric) -> bool:
    """Tell whether the interval of a paired difference, a row of a comparison, excludes 0."""
    low, high = (row.get(f"{metric.name}_difference_{end}", float("nan")) for end in ("low", "high"))
    return bool(low > 0 or high < 0)


def _mean(row: "pd.Series[float]", metric: Metric) -> str:
    value, low, high = (row[f"{metric.name}{end}"] for end in ("", "_low", "_high"))
    if pd.isna(value):
        return "–"
    return metric.text(value) + ("" if pd.isna(low) else f" ({metric.text(low)}–{metric.text(high)})")


def _difference(row: "pd.Series[float]", metric: Metric) -> str:
    value, low, high = (row[f"{metric.name}_difference{end}"] for end in ("", "_low", "_high"))
    if pd.isna(value):
        return "–"
    sure = " *" if excludes_zero(row, metric) else ""
    return f"{metric.text(value, '+')} ({metric.text(low, '+')} to {metric.text(high, '+')}){sure}"
