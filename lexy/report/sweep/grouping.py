"""From runs to comparisons: which of them are repetitions, which are folds, and which may stand beside each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from lexy.errors import UserError
from lexy.evaluation.comparison import differences, summaries
from lexy.evaluation.folds import join_folds
from lexy.evaluation.group_values import all_curves, all_group_values
from lexy.evaluation.summary import require
from lexy.files import fingerprint
from lexy.report.sweep.run_folders import Run
from lexy.report.sweep.variation import group_choices, row_names, settings, varied

UNKNOWN = "–"
HOW = ("data", "split", "first_frame", "rollout")  # rows that differ in one of these were not tested alike


@dataclass(frozen=True)
class Trained:
    """A finished run with its settings and its test table."""

    run: Run
    config: Mapping[str, Any]
    frames: pd.DataFrame = field(repr=False)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that repetitions and folds share."""
        return settings(self.config)

    @property
    def seed(self) -> Any:
        """The run's seed; 0 where it is not known."""
        return self.config.get("seed", 0)

    @property
    def fold(self) -> int | None:
        """The fold of the data that was tested; None without folds."""
        return (self.config.get("data") or {}).get("fold")

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """Per-frame rows of the baselines; empty where there are none."""
        path = self.run.folder / "test_baselines.parquet"
        return pd.read_parquet(path) if path.is_file() else pd.DataFrame(columns=["method"])

    @cached_property
    def how(self) -> tuple[str, ...]:
        """How the run was tested; runs with the same value and the same data may stand in one table."""
        first = self.frames.iloc[0]
        start = str(first.get("start", UNKNOWN))
        if start == "none" and "start" in self.baselines:  # a network without memory: what it stands beside has a start
            start = next((str(one) for one in self.baselines["start"] if one != "none"), start)
        folds = "one split" if self.fold is None else "folds"
        return (*(str(first.get(name, UNKNOWN)) for name in HOW), start, folds)

    @cached_property
    def identity(self) -> tuple[Any, ...]:
        """A key that all attempts at one run share."""
        data = self.run.data.get("fingerprint")
        return (fingerprint(self.settings), data, self.seed, self.fold, self.how)


@dataclass(frozen=True)
class Row:
    """A line of a comparison: one network with its repetitions and folds, or a baseline (without runs)."""

    name: str
    frames: pd.DataFrame = field(repr=False)
    runs: tuple[Trained, ...] = ()
    varied: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def seeds(self) -> int:
        """The number of repetitions."""
        return len({one.seed for one in self.runs})

    @property
    def best_val_dice(self) -> float:
        """The best validation Dice, mean over the row's runs; NaN where unknown."""
        known = [one.run.status.get("best_val_dice") for one in self.runs]
        return float(pd.Series(known, dtype="float64").mean())


@dataclass(frozen=True)
class Comparison:
    """Rows that were tested alike, with their statistics.

    Attributes
    ----------
    title : str
    rows : tuple of Row
        Networks by their validation Dice, the best first; then the baselines.
    reference : str
    embedded : bool
        Whether the data are the phantom.
    summary, differences : DataFrame
        As `lexy.evaluation.comparison.summaries` and `differences` give them.
    """

    title: str
    rows: tuple[Row, ...]
    reference: str
    embedded: bool
    summary: pd.DataFrame = field(repr=False)
    differences: pd.DataFrame = field(repr=False)

    @property
    def networks(self) -> list[Row]:
        """The rows of trained networks, without baselines."""
        return [row for row in self.rows if row.runs]


def read_trained(runs: Iterable[Run]) -> tuple[list[Trained], dict[str, str]]:
    """Read the settings and test tables of finished runs; also return, for the unreadable ones, folder → reason."""
    found, broken = [], {}
    for run in runs:
        if run.state == "done":
            path = run.folder / "test_frames.parquet"
            try:
                frames = pd.read_parquet(path)
                require(frames, "run", "dice", "missed", "spurious")
                found.append(Trained(run, run.config(), frames))
            except UserError as mistake:
                broken[str(run.folder)] = f"{path.name}: {mistake}"
            except (OSError, ValueError) as error:  # pyarrow's own are both
                broken[str(run.folder)] = f"{path.name} cannot be read: {error}; make it anew with lexy-evaluate"
    return found, broken


def newest(trained: Sequence[Trained]) -> tuple[list[Trained], dict[str, str]]:
    """Keep the last attempt of each run; also return, for the others, folder → the folder that replaces it."""
    best: dict[tuple[Any, ...], Trained] = {}
    for one in trained:
        other = best.get(one.identity, one)
        best[one.identity] = max(
            other, one, key=lambda each: (each.run.attempt, str(each.run.status.get("ended") or ""))
        )
    replaced = {
        str(one.run.folder): str(best[one.identity].run.folder) for one in trained if one is not best[one.identity]
    }
    return [one for one in trained if one is best[one.identity]], replaced


def compare_runs(trained: Sequence[Trained], reference: str | None = None, resamples: int = 9999) -> list[Comparison]:
    """Make a comparison of all runs that were tested alike: same data, split, start and direction of time.

    Parameters
    ----------
    trained : sequence of Trained
    reference : str, optional
        Name of a row, or a part of it that only one row of a table has; default: the best by validation Dice.
    resamples : int
        Of the bootstrap.

    Raises
    ------
    UserError
        No table has the reference, or several of its rows have this part of a name.
    """
    tables = [(how, _rows(members)) for how, members in _tested_alike(trained)]
    if reference is not None and not any(_named(rows, reference) for _, rows in tables):
        names = "\n  ".join(row.name for _, rows in tables for row in rows)
        raise UserError(f"--reference {reference!r}: no such row. There are:\n  {names}")
    titles = _titles([how for how, _ in tables])
    return [_comparison(title, rows, reference, resamples) for title, (_, rows) in zip(titles, tables, strict=True)]


def _comparison(title: str, rows: list[Row], reference: str | None, resamples: int) -> Comparison:
    base = _named(rows, reference) if reference is not None else None
    frames = {row.name: row.frames for row in rows}
    values, curves = all_group_values(frames), all_curves(frames)
    name = (base or rows[0]).name
    embedded = any(bool(one.run.data.get("embedded")) for row in rows for one in row.runs)
    return Comparison(
        title,
        tuple(rows),
        name,
        embedded,
        summaries(values, curves, resamples=resamples),
        differences(values, curves, name, resamples=resamples),
    )


def _tested_alike(trained: Sequence[Trained]) -> list[tuple[tuple[str, ...], list[Trained]]]:
    """Runs of one way of testing whose data are the same: by fingerprint, or as folds by the settings of the data."""
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            key = parents[key]
        return key

    prints: dict[tuple[str, ...], dict[Any, set[str]]] = {}
    for one in trained:
        prints.setdefault(_folds_of(one), {}).setdefault(one.fold, set()).add(_data(one))
    for folds in prints.values():
        if all(len(several) == 1 for several in folds.values()):  # otherwise the data changed in between
            first, *others = (next(iter(several)) for several in folds.values())
            for other in others:
                parents[root(other)] = root(first)
    tables: dict[tuple[Any, ...], list[Trained]] = {}
    for one in trained:
        tables.setdefault((one.how, root(_data(one))), []).append(one)
    return [(how, members) for (how, _), members in tables.items()]


def _data(one: Trained) -> str:
    data = {**(one.settings.get("data") or {}), "fold": one.fold}
    return "·".join([*one.how, str(one.run.data.get("fingerprint") or fingerprint(data))])


def _folds_of(one: Trained) -> tuple[str, ...]:
    data = {key: value for key, value in (one.config.get("data") or {}).items() if key not in ("fold", "seed")}
    return (*one.how, fingerprint(data))


def _rows(members: Sequence[Trained]) -> list[Row]:
    """Networks, the best by validation Dice first, and the baselines of their data."""
    same: dict[str, list[Trained]] = {}
    for one in members:
        same.setdefault(fingerprint(one.settings), []).append(one)
    groups = list(same.values())
    choices = [group_choices(several[0].run.status.get("overrides") or []) for several in groups]
    columns = varied([several[0].settings for several in groups], choices)
    fallback = str(members[0].config.get("label") or members[0].run.name)
    names = row_names(columns, len(groups), fallback)
    folds = {one.fold for one in members}
    rows = [
        Row(name, _pooled(several), tuple(several), {key: of[at] for key, of in columns.items()}, _gaps(several, folds))
        for at, (name, several) in enumerate(zip(names, groups, strict=True))
    ]
    rows.sort(
        key=lambda row: (-row.best_val_dice, row.name) if row.best_val_dice == row.best_val_dice else (1.0, row.name)
    )
    return [*rows, *_baselines(members, {row.name for row in rows})]


def _pooled(runs: Sequence[Trained]) -> pd.DataFrame:
    """Join the folds of each repetition; a column `seed` tells repetitions apart.

    Raises
    ------
    UserError
        A group is in two folds of one seed.
    """
    seeds: dict[Any, list[pd.DataFrame]] = {}
    for one in runs:
        seeds.setdefault(one.seed, []).append(one.frames.assign(run=str(one.run.folder)))
    return pd.concat([join_folds(folds).assign(seed=seed) for seed, folds in seeds.items()], ignore_index=True)


def _gaps(runs: Sequence[Trained], folds: set[int | None]) -> tuple[str, ...]:
    """Say which folds are missing from which seeds of a row."""
    seeds = {one.seed: {each.fold for each in runs if each.seed == one.seed} for one in runs}
    lacking = [
        f"seed {seed} lacks fold {', '.join(map(str, sorted(folds - have, key=str)))}"
        for seed, have in seeds.items()
        if folds - have
    ]
    return tuple(lacking)


def _baselines(members: Sequence[Trained], taken: set[str]) -> list[Row]:
    """Make a row of each baseline, from the first run of every fold that has it."""
    found: dict[tuple[str, str], dict[Any, pd.DataFrame]] = {}
    for one in members:
        network = str(one.config.get("frame_network") or "")
        for method, table in one.baselines.groupby("method", sort=False):
            depends = network if method == "frame by frame" else ""
            found.setdefault((str(method), depends), {}).setdefault(one.fold, table)
    several = {method for method, _ in found if sum(each == method for each, _ in found) > 1}
    rows = []
    for (method, network), folds in found.items():
        name = f"{method} ({network})" if method in several else method
        name = f"{name} (baseline)" if name in taken else name
        rows.append(Row(name, pd.concat(folds.values(), ignore_index=True).assign(seed=0)))
    return rows


def _named(rows: Sequence[Row], name: str) -> Row | None:
    exact = [row for row in rows if row.name == name]
    like = exact or [row for row in rows if name.lower() in row.name.lower()]
    if len(like) > 1:
        raise UserError(
            f"--reference {name!r} fits several rows: {'; '.join(row.name for row in like)}. Give more of it."
        )
    return like[0] if like else None


def _titles(hows: Sequence[tuple[str, ...]]) -> list[str]:
    titles = []
    for data, split, first, rollout, start, folds in hows:
        begin = "frame by frame" if start == "none" else f"start={start}, {rollout}"
        given = ", first frame given" if first == "given" else ""
        titles.append(f"{data}, {split} split, {begin}{given}" + (", folds joined" if folds == "folds" else ""))
    counts = {title: titles.count(title) for title in titles}
    seen: dict[str, int] = {}
    for at, title in enumerate(titles):
        if counts[title] > 1:
            seen[title] = seen.get(title, 0) + 1
            titles[at] = f"{title} (data {seen[title]} of {counts[title]})"
    return titles
