"""Join the test tables of runs that are folds of one data set into one table with intervals over all groups.

    python scripts/join_folds.py outputs/hpa_small/*resnet34* --output outputs/hpa_small/resnet34.csv

Each run folder holds `test_frames.parquet`. No group may be in two of them: then they are no folds.
"""

import argparse
from pathlib import Path

import pandas as pd
from rich.console import Console

from lexy.errors import UserError
from lexy.evaluation.summary import published_summary, summarise
from lexy.report.console import summary_table


def joined(folders: list[Path]) -> pd.DataFrame:
    """Per-frame rows of all folds.

    Raises
    ------
    UserError
        A folder has no table, or a group is in two of them.
    """
    tables = []
    for folder in folders:
        path = folder / "test_frames.parquet"
        if not path.is_file():
            raise UserError(f"{folder}: no test_frames.parquet; name the folders of finished runs.")
        tables.append(pd.read_parquet(path))
    if len({table["data"].iloc[0] for table in tables}) > 1:
        raise UserError("these runs are of different data, so they are not folds.")
    owners = pd.concat(table[["group", "run"]].drop_duplicates() for table in tables)
    twice = sorted(owners.loc[owners["group"].duplicated(), "group"].unique())
    if twice:
        raise UserError(f"{', '.join(twice[:3])}: tested in more than one of these runs, so they are not folds.")
    # The seed is the folds' own matter: every group was tested once.
    return pd.concat(tables, ignore_index=True).drop(columns="seed", errors="ignore")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, one for each fold")
    parser.add_argument("--output", type=Path, help="write the summary there, as CSV")
    arguments = parser.parse_args()
    try:
        table = joined(arguments.runs)
    except UserError as error:
        parser.exit(1, f"error: {error}\n")
    summary = summarise(table)
    console = Console(highlight=False)
    embedded = bool((table["data"] == "phantom").any())
    title = f"{len(arguments.runs)} folds of {', '.join(sorted(table['data'].unique()))}"
    console.print(summary_table(summary, title, embedded=embedded))
    console.print(published_summary(table).round(3).to_string())
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        summary.to_csv(arguments.output)


if __name__ == "__main__":
    main()
