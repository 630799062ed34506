"""What the commands print at their end."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lexy.data.base import ClipData
from lexy.evaluation.metrics import Metric
from lexy.evaluation.result_tables import Tables
from lexy.report import PHANTOM
from lexy.report.markdown import compared_metrics, excludes_zero


def show_results(tables: Tables, folder: Path, data: ClipData, split: str, again: Sequence[str] = ()) -> None:
    """Print the summary of an evaluation, where its files are, and what to try next.

    Parameters
    ----------
    tables : lexy.evaluation.result_tables.Tables
    folder : Path
    data : ClipData
    split : str
    again : sequence of str
        After a training: the overrides that a further evaluation needs to find the same data.
    """
    console = Console(highlight=False)
    title = f"{data.name}, {split} split, {tables.how}"
    console.print(summary_table(tables.summary, title, embedded=data.embedded))
    if tables.others:
        console.print(comparison_table(tables.comparison, f"beside baselines: {title}", embedded=data.embedded))
    published = ", ".join(f"{name} {row['mean']:.3f} ± {row['sd']:.3f}" for name, row in tables.published.iterrows())
    over = "over videos, s.d. within them" if data.sequences else "± s.d. over all crops"
    console.print(f"As published (mean {over}, non-finite distances dropped): {published}\n")
    for label, names in (
        (
            "tables",
            sorted(path.name for path in folder.glob("*_*.csv")) + sorted(p.name for p in folder.glob("*.parquet")),
        ),
        ("epochs", [path.name for path in folder.glob("metrics.csv")]),
        ("checkpoints", sorted(path.name for path in folder.glob("*.ckpt"))),
        ("pictures", sorted(f"panels/{path.name}" for path in folder.glob("panels/*.*"))),
        ("W&B", sorted(f"wandb/{path.name}" for path in folder.glob("wandb/*run-*"))),
    ):
        if names:
            console.print(f"  {label:<12} {', '.join(names)}", soft_wrap=True)
    console.print(f"  {'folder':<12} [bold]{folder}[/]", soft_wrap=True)
    if again:
        _show_next(console, folder, again)


def show_finished(folder: Path, data: ClipData) -> None:
    """Say that a run is done already, and show its summary again."""
    console = Console(highlight=False)
    console.print(f"This run is done already: {folder} (resume=never makes it again)")
    summary = pd.read_csv(folder / "test_summary.csv", index_col=0)
    how = f", {summary['how'].iloc[0]}" if "how" in summary else ""
    console.print(summary_table(summary, f"{data.name}, test split{how}", embedded=data.embedded))


def summary_table(summary: pd.DataFrame, title: str, *, embedded: bool) -> Table:
    """Show means with their 95 % intervals.

    Parameters
    ----------
    summary : DataFrame
        As `lexy.evaluation.summary.summarise` gives it.
    title : str
    embedded : bool
        Whether the data are the phantom: the title then says so.

    Returns
    -------
    rich.table.Table
    """
    groups = int(summary["groups"].max())
    defined = summary[summary["frames"] > 0]
    undefined = [name for name in summary.index.difference(defined.index) if not name.endswith("_um")]
    remarks = [f"95 % intervals by bootstrap over {groups} groups"]
    remarks += sorted({str(note) for note in defined["note"].dropna() if note})
    remarks += [f"{int(summary['n_missed'].max())} frames missed, {int(summary['n_spurious'].max())} spurious"]
    remarks += [f"defined for no frame: {', '.join(undefined)}"] if undefined else []
    remarks += ["distances in px (pixel size unknown)"] if "hd95_um" not in defined.index else []
    table = _titled(title, remarks, embedded)
    for column in ("metric", "mean", "95 % interval", "frames", "undefined"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name, row in defined.iterrows():
        interval = f"{row['low']:.3f} to {row['high']:.3f}" if pd.notna(row["low"]) else "-"
        mean = f"{row['mean']:.3f}" if pd.notna(row["mean"]) else "-"
        table.add_row(str(name), mean, interval, f"{int(row['frames'])}", f"{int(row['n_undefined'])}")
    return table


def comparison_table(comparison: pd.DataFrame, title: str, *, embedded: bool) -> Table:
    """Show the comparison of methods: mean (low–high) of each metric.

    Parameters
    ----------
    comparison : DataFrame
        As `lexy.evaluation.comparison.comparison` gives it.
    title : str
    embedded : bool
        Whether the data are the phantom: the title then says so.

    Returns
    -------
    rich.table.Table
        A star marks where the interval of the paired difference from the reference method excludes 0.
    """
    metrics = compared_metrics(comparison)
    remarks = [
        f"95 % intervals by bootstrap over {int(comparison['groups'].max())} groups",
        f"* the paired interval of {comparison['reference'].iloc[0]} minus this row excludes 0",
    ]
    remarks += sorted({str(note) for note in comparison["note"].dropna() if note})
    table = _titled(title, remarks, embedded)
    table.add_column("method")
    for name in (*(each.name for each in metrics), "missed", "no N/C"):
        table.add_column(name.replace("_", " "), justify="right")
    for method, row in comparison.iterrows():
        counts = (f"{round(row[name], 1):g}" for name in ("n_missed", "nc_error_undefined"))
        table.add_row(Text(str(method)), *(_mean(row, each) for each in metrics), *counts)
    return table


def _titled(title: str, remarks: Sequence[str], embedded: bool) -> Table:
    """An empty table with its title and remarks."""
    heading = Text(f"{PHANTOM}\n{title}" if embedded else title, style="table.title")
    return Table(title=heading, caption=Text("\n".join(remarks), style="table.caption"))


def _mean(row: "pd.Series[float]", metric: Metric) -> str:
    mean, low, high = (row[f"{metric.name}{end}"] for end in ("", "_low", "_high"))
    if pd.isna(mean):
        return "-"
    interval = f" ({low:.3f}–{high:.3f})" if pd.notna(low) else ""
    return f"{mean:.3f}{interval}{'*' if excludes_zero(row, metric) else ''}"


def _show_next(console: Console, folder: Path, again: Sequence[str]) -> None:
    console.print("\nWorth trying next:")
    for command in (
        f"lexy-evaluate checkpoint={folder / 'best.ckpt'} {' '.join(again)}",
        "lexy-train -m backbone=vanilla,resnet34 loss=dice,bce trainer.max_epochs=5",
        "lexy-train --help",
    ):
        console.print(f"  {command}", soft_wrap=True, markup=False)
