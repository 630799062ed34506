"""Join the test tables of runs that are folds of one data set, with intervals over all groups.

One row of runs gives the whole summary; several give a comparison, with their baselines and paired differences:

    python scripts/join_folds.py outputs/hpa_small/*resnet34* --output outputs/hpa_small/resnet34.csv
    python scripts/join_folds.py --row "U-Net" outputs/unet/* --row "Move-Net" outputs/movenet/* --reference "Move-Net"

Each run folder holds `test_frames.parquet`. No group may be in two runs of a row: then they are no folds.
"""

import argparse
from pathlib import Path

import pandas as pd
from rich.console import Console

from lexy.errors import UserError
from lexy.evaluation.comparison import comparison
from lexy.evaluation.folds import read_folds
from lexy.evaluation.sequences import whole_summary
from lexy.evaluation.summary import published_summary
from lexy.files import replacing
from lexy.report.console import summary_table
from lexy.report.markdown import comparison_markdown, differences_markdown


def beside(rows: dict[str, list[Path]], reference: str) -> pd.DataFrame:
    """Compare the reference with every row and with the baselines of its own runs."""
    if reference not in rows:
        raise UserError(f"--reference {reference}: no such row; there are: {', '.join(rows)}.")
    tables: dict[str, pd.DataFrame] = {}
    if all((folder / "test_baselines.parquet").is_file() for folder in rows[reference]):
        baselines = read_folds(rows[reference], "test_baselines")
        tables = {str(name): table for name, table in baselines.groupby("method", sort=False)}
    return comparison(tables | {name: read_folds(folders) for name, folders in rows.items()}, reference)


def show(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Print the summary of one row of runs and return it."""
    summary = whole_summary(table)
    console = Console(highlight=False)
    embedded = bool((table["data"] == "phantom").any())
    title = f"{count} folds of {', '.join(sorted(table['data'].unique()))}"
    console.print(summary_table(summary, title, embedded=embedded))
    console.print(published_summary(table).round(3).to_string())
    return summary


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders, one for each fold")
    parser.add_argument("--row", nargs="+", action="append", metavar=("NAME", "RUN"), help="a row of a comparison")
    parser.add_argument("--reference", help="row that is compared with the others (default: the last)")
    parser.add_argument("--output", type=Path, help="write the table there, as CSV")
    arguments = parser.parse_args()
    if bool(arguments.runs) == bool(arguments.row):
        parser.error("give either runs, or rows by --row")
    try:
        if arguments.row:
            rows = {name: [Path(run) for run in runs] for name, *runs in arguments.row}
            result = beside(rows, arguments.reference or list(rows)[-1])
            print(comparison_markdown(result), "", differences_markdown(result), sep="\n")
        else:
            result = show(read_folds(arguments.runs), len(arguments.runs))
    except UserError as error:
        parser.exit(1, f"error: {error}\n")
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(arguments.output) as temporary:
            result.to_csv(temporary)


if __name__ == "__main__":
    main()
