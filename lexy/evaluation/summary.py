"""From the per-frame table to means with intervals: frame → video → group → mean."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lexy.errors import UserError
from lexy.evaluation.bootstrap import FEW_GROUPS, bootstrap_means
from lexy.evaluation.metrics import frame_metrics, metric

PUBLISHED = ("dice", "sensitivity", "specificity", "hausdorff_published")


def group_means(table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Average each metric in each group: over frames, then videos, then (with a column `seed`) seeds.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows, with the columns of `frame_rows`.
    metrics : sequence of str
        Columns to average. Undefined frames (NaN) are left out, as are videos and seeds without a defined frame.

    Returns
    -------
    pd.DataFrame
        Index: the sorted groups. Columns: the metrics, float64; NaN for a group without a defined frame.

    Raises
    ------
    UserError
        If a column is missing, or one that is always defined has gaps.
    """
    metrics = list(metrics)
    check_columns(table, metrics)
    seeds = ["seed"] if "seed" in table else []
    # Sums depend on the order of their terms in the last digit.
    means = table.sort_values([*seeds, "group", "video", "frame", *metrics])
    for keys in ([*seeds, "group", "video"], [*seeds, "group"], ["group"]):
        means = means.groupby(keys, sort=True)[metrics].mean().reset_index()
    return means.set_index("group")


def summarise(table: pd.DataFrame, *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0) -> pd.DataFrame:
    """Average every metric over groups, with its bootstrap interval over groups.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows of one run, or of its repetitions with a column `seed`.
    confidence : float
        Of the interval, in (0, 1).
    resamples, seed : int
        Of the bootstrap; the same seed gives the same digits.

    Returns
    -------
    pd.DataFrame
        Index `metric`: the table's metrics, without those of sequences. Columns: `mean`, `low`, `high`; `method` of the
        interval (BCa, percentile, constant or none); `groups`, `videos` and `frames` that the mean is over,
        `n_undefined` frames left out of it; `n_missed` and `n_spurious` frames of the whole table; `note`. With seeds,
        each seed's frame counts as one.
    """
    metrics = frame_metrics(table)
    intervals = bootstrap_means(group_means(table, metrics), confidence, resamples, seed)
    rows = []
    for name in metrics:
        defined, interval = table[table[name].notna()], intervals.loc[name].to_dict()
        rows.append(
            {
                "metric": name,
                **interval,
                "videos": len(defined[["group", "video"]].drop_duplicates()),
                "frames": len(defined),
                "n_undefined": len(table) - len(defined),
                "n_missed": int(table["missed"].sum()),
                "n_spurious": int(table["spurious"].sum()),
                "note": note(interval["groups"]),
            }
        )
    return pd.DataFrame(rows).set_index("metric")


def note(groups: int) -> str:
    """Return what a reader must know of an interval over this many groups, or ''."""
    if groups < 3:
        return f"{groups} independent group{'' if groups == 1 else 's'}: no interval"
    return f"only {groups} independent groups: the interval is a rough one" if groups < FEW_GROUPS else ""


def published_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Compute mean and population standard deviation as the published study does, to compare like with like.

    Stills: over all crops together. Where a video has more than one frame: within each video, then the mean over the
    videos of both. Groups are disregarded, and non-finite values dropped, as there.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows.

    Returns
    -------
    pd.DataFrame
        Index `metric`: dice, sensitivity, specificity, hausdorff_published. Columns: `mean`, `sd`; `units`, the crops
        or videos with a finite value; `n_dropped`, non-finite frames.
    """
    keys, videos = video_keys(table), has_sequences(table)
    table = table.sort_values([*keys, "frame"])
    rows = []
    for name in PUBLISHED:
        finite = table[np.isfinite(table[name])]
        if videos:
            units = finite.groupby(keys)[name]
            mean, deviation, count = units.mean().mean(), units.std(ddof=0).mean(), units.ngroups
        else:
            mean, deviation, count = finite[name].mean(), finite[name].std(ddof=0), len(finite)
        dropped = len(table) - len(finite)
        rows.append({"metric": name, "mean": mean, "sd": deviation, "units": count, "n_dropped": dropped})
    return pd.DataFrame(rows).set_index("metric")


def over_time(table: pd.DataFrame, metric: str = "dice") -> pd.Series:
    """Average a metric over groups at each frame index; the minimum of Dice (`.min()`) is the worst frame.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows of clips that count their frames alike.
    metric : str
        Column to average.

    Returns
    -------
    pd.Series
        Index: `frame`. Values: float64.
    """
    check_columns(table, [metric])
    return profile(table, metric, table["frame"]).mean().rename(metric).rename_axis("frame")


def profile(table: pd.DataFrame, metric: str, by: Sequence[object] | pd.Series) -> pd.DataFrame:
    """Average a metric in each group at each value of `by`: over frames, then videos, then seeds.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows; with a column `seed`, seeds are averaged within a group.
    metric : str
        Column to average; NaN is left out.
    by : sequence
        One for each row: the frame index, a bin of contrast, ...

    Returns
    -------
    pd.DataFrame
        Groups × sorted values of `by`, float64; NaN where there is none.
    """
    seeds = ["seed"] if "seed" in table else []
    means = table[[*seeds, "group", "video", metric]].assign(by=np.asarray(by))
    for keys in ([*seeds, "group", "video", "by"], [*seeds, "group", "by"], ["group", "by"]):
        means = means.groupby(keys, sort=True)[metric].mean().reset_index()
    return means.pivot(index="group", columns="by", values=metric)  # noqa: PD010  (there is one value for each)


def video_keys(table: pd.DataFrame) -> list[str]:
    """Return the columns that tell videos apart."""
    return [*(["seed"] if "seed" in table else []), "group", "video"]


def has_sequences(table: pd.DataFrame) -> bool:
    """Tell whether a video has several frames; of stills each is a video of its own."""
    return bool(table.duplicated(video_keys(table)).any())


def check_columns(table: pd.DataFrame, metrics: Sequence[str]) -> None:
    """Raise UserError if a table of frames lacks one of these metrics, or has gaps in one that is always defined."""
    missing = [name for name in ("group", "video", "frame", *metrics) if name not in table]
    if missing:
        raise UserError(f"the table of frames has no column {', '.join(missing)}; make it anew with lexy-evaluate")
    for name in metrics:
        gaps = int(table[name].isna().sum())
        if gaps and not metric(name).may_be_undefined:
            raise UserError(f"column {name} of the table of frames has {gaps} gaps, but is defined for every frame")


def require(table: pd.DataFrame, *columns: str) -> None:
    """Raise UserError if a table of frames is empty, lacks one of these columns, or has gaps as `check_columns`."""
    check_columns(table, columns)
    if table.empty:
        raise UserError("the table of frames is empty; make it anew with lexy-evaluate")
