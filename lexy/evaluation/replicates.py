"""Many videos: the table that lists them, and statistics over replicates."""

import csv
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from lexy.errors import UserError
from lexy.evaluation.significance import holm

REQUIRED = ("video", "condition", "replicate")
NUMBERS = ("light_on", "light_off", "pixel_size", "interval", "diameter")
QUANTITIES = ("export_half_time", "return_half_time", "baseline", "export_amplitude", "return_amplitude")
TIMES = ("export_half_time", "return_half_time")
MIN_REPLICATES = 3
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Entry:
    """One video and what is known of it; None where it is not.

    Attributes
    ----------
    video : str
        File, folder or pattern.
    condition, replicate : str
        What was done to the cells, and in which independent experiment.
    light_on, light_off : float
        In seconds, or frames if the interval is not known.
    channel : int
    pixel_size, interval, diameter : float
        µm, seconds, pixels.
    mask : str
        Own mask of a frame, FRAME=FILE.
    """

    video: str
    condition: str = ""
    replicate: str = ""
    light_on: float | None = None
    light_off: float | None = None
    channel: int | None = None
    pixel_size: float | None = None
    interval: float | None = None
    diameter: float | None = None
    mask: str = ""


def read_table(path: Path, otherwise: Mapping[str, Any]) -> list[Entry]:
    """Read the list of videos from a CSV file.

    Parameters
    ----------
    path : Path
        With columns `video`, `condition`, `replicate`, and any of `light_on`, `light_off`, `channel`, `pixel_size`,
        `interval`, `diameter`, `mask` (FRAME=FILE). Files lie relative to its folder.
    otherwise : mapping
        What a cell that is empty or not there is taken to be, by column.

    Raises
    ------
    UserError
        The file, a column or a cell is wrong; it names row and column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--table {path}: cannot be read ({error}). Give a CSV file with comma and UTF-8.") from error
    known = [field.name for field in fields(Entry)]
    for name in REQUIRED:
        if name not in columns:
            raise UserError(f"--table {path}: has no column {name!r}. Columns: {', '.join(columns) or 'none'}.")
    for name in columns:
        if name not in known:
            raise UserError(f"--table {path}: column {name!r} is not known. There are: {', '.join(known)}.")
    if not rows:
        raise UserError(f"--table {path}: lists no video.")
    entries = [
        _entry(row, f"--table {path}, row {number}", path.parent, otherwise) for number, row in enumerate(rows, 2)
    ]
    seen: dict[tuple[Path, int], int] = {}
    for number, entry in enumerate(entries, 2):
        first = seen.setdefault((Path(entry.video).resolve(), entry.channel or 0), number)  # left out: there is one
        if first != number:
            raise UserError(
                f"--table {path}, row {number}: its video is that of row {first}. It would count twice: remove one."
            )
    return entries


def pooled(tables: Mapping[Entry, tuple[pd.DataFrame, pd.DataFrame]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join the tables of nuclei and of fits of all videos, with their conditions and replicates in front."""
    parts: tuple[list[pd.DataFrame], list[pd.DataFrame]] = ([], [])
    for entry, pair in tables.items():
        for part, table in zip(parts, pair, strict=True):
            part.append(table.assign(video=entry.video, condition=entry.condition, replicate=entry.replicate))
    first = ["condition", "replicate", "video"]
    nuclei, cells = (pd.concat(part, ignore_index=True) for part in parts)
    return tuple(table[[*first, *table.columns.drop(first)]] for table in (nuclei, cells))  # type: ignore[return-value]


def statistics(cells: pd.DataFrame, conditions: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Summarise conditions, and the differences between them, over replicates.

    Cells of one replicate are not independent: each replicate counts once, with the mean over its trusted cells.

    Parameters
    ----------
    cells : DataFrame
        As `pooled` gives it, in one unit of time.
    conditions : collection of str
        All of them, also those without a cell.

    Returns
    -------
    conditions : DataFrame
        `condition`, `quantity`, `unit`, `mean`, `low`, `high` (95 %, Student's t over replicates; NaN for fewer than
        three), `replicates`, `cells`.
    differences : DataFrame
        `quantity`, `first`, `second`, `difference` (first − second), `p` (Welch's t-test over replicates; NaN for fewer
        than three in one of them), `p_holm` (corrected for all tests of the table).
    """
    trusted = cells[cells["trust"].astype(bool)]
    means = trusted.groupby(["condition", "replicate"])[list(QUANTITIES)].mean()
    unit = "/".join(sorted(set(cells["unit"]))) if "unit" in cells else ""
    rows, differences = [], []
    for quantity in QUANTITIES:
        values = {str(name): part[quantity].dropna().to_numpy() for name, part in means.groupby("condition")}
        for name in sorted(set(conditions)):
            found = values.get(name, np.array([]))
            count = int(trusted.loc[trusted["condition"].astype(str) == name, quantity].notna().sum())
            kind = unit if quantity in TIMES else ""
            rows.append({"condition": name, "quantity": quantity, "unit": kind, **_interval(found), "cells": count})
        for one, other in combinations(sorted(values), 2):
            differences.append(
                {"quantity": quantity, "first": one, "second": other, **_welch(values[one], values[other])}
            )
    result = pd.DataFrame(differences, columns=["quantity", "first", "second", "difference", "p"])
    return pd.DataFrame(rows), result.assign(p_holm=holm(result["p"].to_numpy(float)))


def _entry(row: Mapping[str, Any], place: str, folder: Path, otherwise: Mapping[str, Any]) -> Entry:
    if None in row or None in row.values():
        raise UserError(f"{place}: has more or fewer cells than there are columns.")
    text = {name: str(value).strip() for name, value in row.items()}
    for name in REQUIRED:
        if not text[name]:
            raise UserError(f"{place}: {name} is empty.")
    numbers = {name: _number(text.get(name, ""), name, place, otherwise.get(name)) for name in NUMBERS}
    channel = text.get("channel", "")
    if channel and not channel.isdecimal():
        raise UserError(f"{place}: channel={channel!r} is not a number from 0.")
    frame, equals, file = text.get("mask", "").partition("=")
    return Entry(
        video=str(folder / text["video"]),
        condition=text["condition"],
        replicate=text["replicate"],
        channel=int(channel) if channel else otherwise.get("channel"),
        mask=f"{frame}{equals}{folder / file if file else ''}",
        **numbers,
    )


def _number(text: str, name: str, place: str, otherwise: float | None) -> float | None:
    if not text:
        return otherwise
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (value <= 0 and not name.startswith("light")):
        raise UserError(f"{place}: {name}={text!r} is not a {'' if name.startswith('light') else 'positive '}number.")
    return value


def _interval(values: NDArray[np.float64]) -> dict[str, float]:
    count = len(values)
    mean = float(values.mean()) if count else math.nan
    reach = math.nan
    if count >= MIN_REPLICATES:
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * values.std(ddof=1) / math.sqrt(count))
    return {"mean": mean, "low": mean - reach, "high": mean + reach, "replicates": count}


def _welch(one: NDArray[np.float64], other: NDArray[np.float64]) -> dict[str, float]:
    enough = min(len(one), len(other)) >= MIN_REPLICATES
    p = float(stats.ttest_ind(one, other, equal_var=False).pvalue) if enough else math.nan
    return {"difference": float(one.mean() - other.mean()) if len(one) and len(other) else math.nan, "p": p}
