"""Many methods on the same groups: every metric with its interval, and paired differences from one of them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from lexy.errors import UserError
from lexy.evaluation.columns import bootstrap_means, profile
from lexy.evaluation.compare import _rank_biserial
from lexy.evaluation.comparison import QUALITIES, WORST
from lexy.evaluation.sequences import first_below, with_drop
from lexy.evaluation.summary import METRICS, group_means, has_sequences, note, require, video_keys
from lexy.evaluation.worst_frame import Curves, worst_of_curves

LEVEL = 0.7  # a video that falls below this Dice once is counted as failed
DIGITS = 6  # of the number of a table among those that are worked on at once
COLUMNS = ["mean", "low", "high", "method", "groups"]


def group_values(table: pd.DataFrame) -> pd.DataFrame:
    """Every metric that is a mean over groups, for each group: what `summarise` and `sequence_summary` average.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows; with a column `seed`, seeds are averaged within a group.

    Returns
    -------
    pd.DataFrame
        Index: the sorted groups. Columns: those of `METRICS` that are defined somewhere; for sequences also
        `dice_first_frame`, `dice_last_frame`, `ever_below_0.7`, and with it `dice_one_step` and `dice_drop`.
    """
    require(table, "dice")
    keys = video_keys(table)
    metrics = [name for name in METRICS if name in table and table[name].notna().any()]
    if not has_sequences(table):
        return group_means(table, metrics)
    if "dice_one_step" in table:
        table, metrics = with_drop(table), [*metrics, "dice_one_step", "dice_drop"]
    videos = table.sort_values([*keys, "frame"]).groupby(keys, sort=True)
    fallen = first_below(table, LEVEL).assign(frame=0)
    fallen["fallen"] = fallen["first_below"].notna().astype(np.float64)
    more = {
        "dice_first_frame": group_means(videos.head(1), ["dice"])["dice"],
        "dice_last_frame": group_means(videos.tail(1), ["dice"])["dice"],
        f"ever_below_{LEVEL:g}": group_means(fallen, ["fallen"])["fallen"],
    }
    return group_means(table, metrics).assign(**more)


def all_group_values(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """`group_values` of several methods, in a fraction of the time: those with the same columns at once."""
    found = {}
    for names in _alike(tables):
        stacked = _stacked({name: tables[name] for name in names})
        parts = _unstacked(group_values(stacked), names)
        found.update({name: part.dropna(axis=1, how="all") for name, part in parts.items()})
    return {name: found[name] for name in tables}


def all_curves(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """`profile` of Dice over the frame index of those methods whose videos have several frames."""
    moving = {name: table for name, table in tables.items() if has_sequences(table)}
    if not moving:
        return {}
    stacked = _stacked(moving)
    parts = _unstacked(profile(stacked, "dice", stacked["frame"]), list(moving))
    return {name: part.dropna(axis=1, how="all") for name, part in parts.items()}


def summaries(
    values: Mapping[str, pd.DataFrame], curves: Mapping[str, pd.DataFrame], resamples: int = 9999
) -> pd.DataFrame:
    """Every metric of every method with its 95 % interval.

    Parameters
    ----------
    values : mapping
        Method → `group_values`.
    curves : mapping
        Method → its curve, of those that `all_curves` gives.
    resamples : int
        Of the bootstrap.

    Returns
    -------
    pd.DataFrame
        Columns: `row`, the method; `metric`; `mean`, `low`, `high`, `method` of the interval, `groups`, `note`.
    """
    found = bootstrap_means(pd.concat(values, axis=1), resamples=resamples).reset_index(names=["row", "metric"])
    if curves:
        worst = _worst_frames({name: (curve, None) for name, curve in curves.items()}, resamples)
        found = pd.concat([found, worst], ignore_index=True)
    return found.assign(note=[note(groups) for groups in found["groups"]])


def differences(
    values: Mapping[str, pd.DataFrame],
    curves: Mapping[str, pd.DataFrame],
    reference: str,
    metrics: Sequence[str] = QUALITIES,
    resamples: int = 9999,
) -> pd.DataFrame:
    """Paired differences of every method from a reference, method minus reference, over the groups that both have.

    Parameters
    ----------
    values, curves : mapping
        As for `summaries`.
    reference : str
        The method that all others are compared with.
    metrics : sequence of str
        Those that both methods have are compared. The worst frames over the frames that both have, each method's at
        its own time, in the same resamples; it is no group's own, so it has neither p nor effect.
    resamples : int
        As for `summaries`.

    Returns
    -------
    pd.DataFrame
        Columns: `row`, `reference`, `metric`; `difference`, `low`, `high`, `method`, `p` and `effect` as of
        `compare`; `p_holm`, corrected by Holm for the `comparisons` of this metric with the reference; `groups`
        compared; `n_unpaired` groups that only one of the two has, left out; `note`. Empty without other methods.

    Raises
    ------
    UserError
        There is no such method.
    """
    if reference not in values:
        raise UserError(f"no row {reference} to compare with; there are: {', '.join(values) or 'none'}.")
    base, paired, unpaired = values[reference], {}, {}
    others = [name for name in values if name != reference]
    for name in others:
        for metric in metrics:
            if metric in values[name] and metric in base:
                both = pd.concat([values[name][metric], base[metric]], axis=1, keys=["row", "base"])
                paired[name, metric] = both["row"] - both["base"]
                unpaired[name, metric] = int((both["row"].notna() ^ both["base"].notna()).sum())
    if not paired:
        return pd.DataFrame()
    found = bootstrap_means(pd.DataFrame(paired), resamples=resamples).reset_index(names=["row", "metric"])
    tested = [_tested(each.dropna().to_numpy()) for each in paired.values()]
    found["p"], found["effect"] = zip(*tested, strict=True)
    found["p_holm"] = found.groupby("metric")["p"].transform(lambda p: holm(p.to_numpy()))
    found["comparisons"] = found.groupby("metric")["p"].transform("count")
    found["n_unpaired"] = [unpaired[key] for key in paired]
    moving = [name for name in others if name in curves and reference in curves and WORST in metrics]
    if moving:
        pairs = {name: _common(curves[name], curves[reference]) for name in moving}
        worst = _worst_frames(pairs, resamples).assign(comparisons=0)
        every = [len(set(_defined(curves[name])) | set(_defined(curves[reference]))) for name in moving]
        worst["n_unpaired"] = every - worst["groups"]
        found = pd.concat([found, worst], ignore_index=True)
        found = found.sort_values("row", key=lambda rows: rows.map(others.index), kind="stable")
    found = found.rename(columns={"mean": "difference"})
    found["note"] = [note(groups) for groups in found["groups"]]
    first = ["row", "reference", "metric", "difference", "low", "high", "method", "p", "p_holm", "comparisons"]
    return found.assign(reference=reference)[[*first, "effect", "groups", "n_unpaired", "note"]]


def _worst_frames(pairs: Mapping[str, Curves], resamples: int) -> pd.DataFrame:
    """Rows of `summaries` or `differences` for the worst frame."""
    intervals = worst_of_curves(list(pairs.values()), resamples=resamples)
    rows = [
        (name, WORST, *interval, len(_defined(pair[0])))
        for (name, pair), interval in zip(pairs.items(), intervals, strict=True)
    ]
    return pd.DataFrame(rows, columns=["row", "metric", *COLUMNS])


def _common(curve: pd.DataFrame, base: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both over the groups and frames that both have."""
    curve, base = curve.align(base, join="inner")
    return curve.where(base.notna()), base.where(curve.notna())


def _defined(curve: pd.DataFrame) -> pd.Index:
    """The groups that have a value."""
    return curve.index[curve.notna().any(axis=1)]


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down correction for several comparisons.

    Holm, S., "A Simple Sequentially Rejective Multiple Test Procedure", Scand J Stat 6:65-70, 1979.

    Parameters
    ----------
    p : ndarray
        (N,) in [0, 1]; NaN is no comparison.

    Returns
    -------
    ndarray
        (N,) corrected, in [0, 1], in the order given; NaN stays NaN.
    """
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p, kind="stable")[: int(np.isfinite(p).sum())]  # NaN is sorted last
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def _tested(differences: NDArray[np.float64]) -> tuple[float, float]:
    """p of Wilcoxon's signed-rank test and the rank-biserial effect."""
    if len(differences) == 0:
        return np.nan, np.nan
    p = float(wilcoxon(differences).pvalue) if differences.any() else 1.0
    return p, _rank_biserial(differences)


def _alike(tables: Mapping[str, pd.DataFrame]) -> list[list[str]]:
    """Names of tables that have the same columns, and one frame or several in a video."""
    found: dict[tuple[object, ...], list[str]] = {}
    for name, table in tables.items():
        require(table, "dice")
        moving = has_sequences(table)
        known = [column for column in (*METRICS, "dice_one_step") if column in table and table[column].notna().any()]
        found.setdefault((moving, *video_keys(table), *known), []).append(name)
    return list(found.values())


def _stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One table of all, whose groups begin with the number of theirs."""
    columns = ("seed", "group", "video", "frame", *METRICS, "dice_one_step")
    parts = []
    for at, table in enumerate(tables.values()):
        own = table[[name for name in columns if name in table]]
        seed = own.get("seed", 0)
        parts.append(own.assign(seed=seed, group=f"{at:0{DIGITS}}" + own["group"].astype(str)))
    return pd.concat(parts, ignore_index=True)


def _unstacked(values: pd.DataFrame, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    owner = values.index.str[:DIGITS].astype(int)
    values = values.set_axis(values.index.str[DIGITS:], axis=0).rename_axis("group")
    return {name: values[owner == at] for at, name in enumerate(names)}
