"""Runs that are folds of one data set, as one table over all groups."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lexy.errors import UserError


def joined(folders: Sequence[Path], name: str = "test_frames") -> pd.DataFrame:
    """Per-frame rows of all folds.

    Parameters
    ----------
    folders : sequence of Path
        Run folders, one for each fold.
    name : str
        Table to read: `test_frames` or `test_baselines`.

    Raises
    ------
    UserError
        There is no folder, one has no table, or a group is in two of them.
    """
    if not folders:
        raise UserError("a row without runs: name their folders after its name.")
    tables = []
    for folder in folders:
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise UserError(f"{folder}: no {path.name}; name the folders of finished runs.")
        tables.append(pd.read_parquet(path))
    return join(tables)


def join(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Per-frame tables of all folds as one; raises as `joined`."""
    if len({table["data"].iloc[0] for table in tables}) > 1:
        raise UserError("these runs are of different data, so they are not folds.")
    owners = pd.concat(table[["group", "run"]].drop_duplicates() for table in tables)
    twice = sorted(owners.loc[owners["group"].duplicated(), "group"].unique())
    if twice:
        raise UserError(f"{', '.join(twice[:3])}: tested in more than one of these runs, so they are not folds.")
    # The seed is the folds' own matter: every group was tested once.
    return pd.concat(tables, ignore_index=True).drop(columns="seed", errors="ignore")
