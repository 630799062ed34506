"""Means of groups and curves over time of many methods: what comparisons are made of."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lexy.evaluation.metrics import frame_metrics
from lexy.evaluation.sequences import sequence_means
from lexy.evaluation.summary import group_means, has_sequences, profile, require, video_keys

DIGITS = 6  # of the number of a table among those that are worked on at once


def group_values(table: pd.DataFrame) -> pd.DataFrame:
    """Average every metric in each group: what `summarise` and `sequence_summary` average over groups.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows; with a column `seed`, seeds are averaged within a group.

    Returns
    -------
    pd.DataFrame
        Index: the sorted groups. Columns: the metrics that are defined somewhere; of sequences also those of
        `sequence_means`.
    """
    require(table, "dice")
    means = group_means(table, _defined(table))
    return means.join(sequence_means(table)) if has_sequences(table) else means


def all_group_values(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Compute `group_values` of several methods, in a fraction of the time: those with the same columns at once."""
    found = {}
    for names in _alike(tables):
        stacked = _stacked({name: tables[name] for name in names})
        parts = _unstacked(group_values(stacked), names)
        found.update({name: part.dropna(axis=1, how="all") for name, part in parts.items()})
    return {name: found[name] for name in tables}


def all_curves(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Compute the `profile` of Dice over the frame index of those methods whose videos have several frames."""
    moving = {name: table for name, table in tables.items() if has_sequences(table)}
    if not moving:
        return {}
    stacked = _stacked(moving)
    parts = _unstacked(profile(stacked, "dice", stacked["frame"]), list(moving))
    return {name: part.dropna(axis=1, how="all") for name, part in parts.items()}


def _defined(table: pd.DataFrame) -> list[str]:
    """Names of the metrics that are defined in some frame."""
    return [name for name in frame_metrics(table) if table[name].notna().any()]


def _alike(tables: Mapping[str, pd.DataFrame]) -> list[list[str]]:
    """Names of tables that have the same columns, and one frame or several in a video."""
    found: dict[tuple[object, ...], list[str]] = {}
    for name, table in tables.items():
        require(table, "dice")
        kind = (has_sequences(table), "dice_one_step" in table, *video_keys(table), *_defined(table))
        found.setdefault(kind, []).append(name)
    return list(found.values())


def _stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One table of all, whose groups begin with the number of theirs."""
    parts = []
    for at, table in enumerate(tables.values()):
        extra = [name for name in ("seed", "dice_one_step") if name in table]
        own = table[["group", "video", "frame", *extra, *_defined(table)]]
        seed = own.get("seed", 0)
        parts.append(own.assign(seed=seed, group=f"{at:0{DIGITS}}" + own["group"].astype(str)))
    return pd.concat(parts, ignore_index=True)


def _unstacked(values: pd.DataFrame, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    owner = values.index.str[:DIGITS].astype(int)
    values = values.set_axis(values.index.str[DIGITS:], axis=0).rename_axis("group")
    return {name: values[owner == at] for at, name in enumerate(names)}
