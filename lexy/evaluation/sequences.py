"""What is measured of sequences beyond means and the worst frame: contrast, first failure, one step against many."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.evaluation.bootstrap import Interval, bootstrap_mean
from lexy.evaluation.summary import group_means, note, require, video_keys
from lexy.evaluation.worst_frame import worst_frame

CONTRAST_EDGES = (-1.0, -0.5, -0.3, -0.2, -0.1, -0.05, -0.02, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


class Falls(NamedTuple):
    """Share of videos that ever fall below a level, and the median first frame (of those that do; NaN for none)."""

    share: Interval
    median_first_frame: float


def over_contrast(table: pd.DataFrame, metric: str = "dice", edges: Sequence[float] = CONTRAST_EDGES) -> pd.DataFrame:
    """Mean over groups of a metric in bins of contrast.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows.
    metric : str
        Column to average.
    edges : sequence of float
        Increasing. A bin holds its lower edge; the last one its upper edge as well.

    Returns
    -------
    pd.DataFrame
        Columns: `low`, `high`, the bin's edges; the metric's mean (NaN for none); `groups` and `frames` in the bin;
        `n_undefined` of these frames without a value of the metric. A row for each bin, from below the first edge
        (`low` = −inf) to above the last (`high` = inf), then one for frames of undefined contrast (both NaN).

    Raises
    ------
    UserError
        If edges do not increase or a column is missing.
    """
    limits = np.asarray(edges, dtype=np.float64)
    if len(limits) < 2 or not (np.diff(limits) > 0).all():
        raise UserError(f"edges={list(edges)} make no bins of contrast: give two or more that increase")
    require(table, "contrast", metric)
    contrast = table["contrast"].to_numpy(np.float64)
    bins = np.digitize(contrast, limits)
    bins[contrast == limits[-1]] = len(limits) - 1
    bins[np.isnan(contrast)] = len(limits) + 1
    lows, highs = np.r_[-np.inf, limits, np.nan], np.r_[limits, np.inf, np.nan]
    rows = []
    for place, (low, high) in enumerate(zip(lows, highs, strict=True)):
        inside = table[bins == place]
        values = group_means(inside, [metric])[metric] if len(inside) else pd.Series(dtype=np.float64)
        counts = {"groups": values.count(), "frames": len(inside), "n_undefined": int(inside[metric].isna().sum())}
        rows.append({"low": low, "high": high, metric: values.mean(), **counts})
    return pd.DataFrame(rows)


def first_below(table: pd.DataFrame, level: float = 0.7) -> pd.DataFrame:
    """First frame of each video with a Dice below a level.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows.
    level : float
        In (0, 1].

    Returns
    -------
    pd.DataFrame
        One row per video (and seed, where the table has them): `group`, `video` and `first_below`, the frame index,
        float64; NaN where Dice never falls below the level.

    Raises
    ------
    UserError
        If the level is out of range or a column is missing.
    """
    if not 0 < level <= 1:
        raise UserError(f"level={level} is no Dice to fall below: give one above 0, at most 1")
    require(table, "dice")
    keys = video_keys(table)
    fallen = table["frame"].where(table["dice"] < level).astype(np.float64)
    return table[keys].assign(first_below=fallen).groupby(keys, sort=True)["first_below"].min().reset_index()


def ever_below(
    table: pd.DataFrame, level: float = 0.7, *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Falls:
    """Share of videos that ever fall below a Dice, as a mean over groups, and the median first frame of those that do.

    Parameters
    ----------
    table, level
        As for `first_below`, as is what is raised.
    confidence, resamples, seed
        As for `summarise`.
    """
    videos = first_below(table, level)
    share = bootstrap_mean(_share_below(videos), confidence, resamples, seed)
    return Falls(share, float(videos["first_below"].median()))


def sequence_summary(
    table: pd.DataFrame, level: float = 0.7, *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> pd.DataFrame:
    """What `summarise` does not say of sequences, in its form, so that both can be put under each other.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows; with `dice_one_step`, the Dice of the same frame from the true mask of the frame before.
    level : float
        See `first_below`.
    confidence, resamples, seed
        As for `summarise`.

    Returns
    -------
    pd.DataFrame
        Index and columns as of `summarise`. Rows: `dice_first_frame` and `dice_last_frame` of each video,
        `dice_worst_frame` (see `worst_frame`), `ever_below_LEVEL`, the share of videos; where `dice_one_step` exists,
        this and `dice_drop`, one-step minus free-running, paired by group.

    Raises
    ------
    UserError
        If a column is missing or has gaps.
    """
    require(table, "dice", "missed", "spurious")
    interval = partial(bootstrap_mean, confidence=confidence, resamples=resamples, seed=seed)
    keys = video_keys(table)
    videos = table.sort_values([*keys, "frame"]).groupby(keys, sort=True)
    first, last = videos.head(1), videos.tail(1)
    falls = ever_below(table, level, confidence=confidence, resamples=resamples, seed=seed)
    found: dict[str, tuple[Interval, pd.DataFrame]] = {
        "dice_first_frame": (interval(_means(first, "dice")), first),
        "dice_last_frame": (interval(_means(last, "dice")), last),
        "dice_worst_frame": (worst_frame(table, confidence=confidence, resamples=resamples, seed=seed), table),
        f"ever_below_{level:g}": (falls.share, table),
    }
    if "dice_one_step" in table:
        table = with_drop(table)
        found |= {name: (interval(_means(table, name)), table) for name in ("dice_one_step", "dice_drop")}
    groups = table["group"].nunique()
    counts = {"groups": groups, "videos": len(table[["group", "video"]].drop_duplicates())}
    wrong = {"n_undefined": 0, "n_missed": int(table["missed"].sum()), "n_spurious": int(table["spurious"].sum())}
    rows = [
        {"metric": name, **values._asdict(), **counts, "frames": len(frames), **wrong, "note": note(groups)}
        for name, (values, frames) in found.items()
    ]
    return pd.DataFrame(rows).set_index("metric")


def _means(table: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    return group_means(table, [metric])[metric].dropna().to_numpy()


def _share_below(videos: pd.DataFrame) -> NDArray[np.float64]:
    """Each group's share of the rows of `first_below` that fall."""
    return _means(videos.assign(frame=0, fallen=videos["first_below"].notna().astype(np.float64)), "fallen")


def with_drop(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `dice_drop`, one-step minus free-running Dice of each frame."""
    return table.assign(dice_drop=table["dice_one_step"] - table["dice"])
