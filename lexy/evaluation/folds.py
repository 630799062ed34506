"""Runs that are folds of one data set, as one table over all groups."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lexy.errors import UserError


def read_folds(folders: Sequence[Path], name: str = "test_frames") -> pd.DataFrame:
    """Read the per-frame rows of all folds.

    Parameters
    ----------
    folders : sequence of Path
        Run folders, one for each fold.
    name : str
        Table to read: `test_frames` or `test_baselines`.

    Raises
    ------
    UserError
        There is no folder, or one has no table; and as `join_folds`.
    """
    if not folders:
        raise UserError("a row without runs: name their folders after its name.")
    tables = []
    for folder in folders:
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise UserError(f"{folder}: no {path.name}; name the folders of finished runs.")
        tables.append(pd.read_parquet(path))
    # The seed is the folds' own matter: every group was tested once.
    return join_folds(tables).drop(columns="seed", errors="ignore")


def join_folds(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the per-frame tables of folds under each other.

    Raises
    ------
    UserError
        The tables are of different data, or a group is in two of them.
    """
    if len({str(table["data"].iloc[0]) for table in tables if "data" in table}) > 1:
        raise UserError("these runs are of different data, so they are not folds.")
    owners = pd.concat(table[["group", "run"]].drop_duplicates() for table in tables)
    twice = owners[owners["group"].duplicated(keep=False)].sort_values(["group", "run"])
    if len(twice):
        groups, runs = (list(dict.fromkeys(map(str, twice[name]))) for name in ("group", "run"))
        raise UserError(
            f"{', '.join(groups[:3])}: tested in more than one of the runs {', '.join(runs)}, so they are not folds."
        )
    return pd.concat(tables, ignore_index=True)
