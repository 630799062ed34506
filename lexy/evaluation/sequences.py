"""Measures of sequences beyond means and the worst frame: contrast, first failure, one step against free-running."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lexy.errors import UserError
from lexy.evaluation.bootstrap import bootstrap_means
from lexy.evaluation.summary import group_means, has_sequences, note, require, summarise, video_keys
from lexy.evaluation.worst_frame import worst_frame

CONTRAST_EDGES = (-1.0, -0.5, -0.3, -0.2, -0.1, -0.05, -0.02, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
LEVEL = 0.7  # a video that falls below this Dice once is counted as failed


def over_contrast(table: pd.DataFrame, metric: str = "dice", edges: Sequence[float] = CONTRAST_EDGES) -> pd.DataFrame:
    """Average a metric over groups in bins of contrast.

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


def first_below(table: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Find the first frame of each video with a Dice below a level.

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


def sequence_means(table: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Average in each group what only sequences have.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows; with `dice_one_step`, the Dice of the same frame from the true mask of the frame before.
    level : float
        As for `first_below`, as is what is raised.

    Returns
    -------
    pd.DataFrame
        Index: the sorted groups. Columns, float64: where the table has it, `dice_one_step` and with it `dice_drop`
        (see `with_drop`); `dice_first_frame` and `dice_last_frame` of each video; `ever_below_LEVEL`, the share of
        videos that ever fall below the level.
    """
    keys = video_keys(table)
    videos = table.sort_values([*keys, "frame"]).groupby(keys, sort=True)
    fallen = first_below(table, level).assign(frame=0)
    fallen["fallen"] = fallen["first_below"].notna().astype(np.float64)
    found = {
        "dice_first_frame": group_means(videos.head(1), ["dice"])["dice"],
        "dice_last_frame": group_means(videos.tail(1), ["dice"])["dice"],
        f"ever_below_{level:g}": group_means(fallen, ["fallen"])["fallen"],
    }
    if "dice_one_step" in table:
        found = {**group_means(with_drop(table), ["dice_one_step", "dice_drop"]), **found}
    return pd.DataFrame(found)


def sequence_summary(
    table: pd.DataFrame, level: float = LEVEL, *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> pd.DataFrame:
    """Summarise what only sequences have, in the form of `summarise`, so that both can be put under each other.

    Parameters
    ----------
    table, level
        As for `sequence_means`.
    confidence, resamples, seed
        As for `summarise`.

    Returns
    -------
    pd.DataFrame
        Index and columns as of `summarise`. Rows: `dice_first_frame`, `dice_last_frame`, `dice_worst_frame` (see
        `worst_frame`), `ever_below_LEVEL`; where the table has it, `dice_one_step` and with it `dice_drop`.

    Raises
    ------
    UserError
        If a column is missing or has gaps.
    """
    require(table, "dice", "missed", "spurious")
    intervals = bootstrap_means(sequence_means(table, level), confidence, resamples, seed)
    worst = worst_frame(table, confidence=confidence, resamples=resamples, seed=seed)
    intervals = pd.concat([intervals, pd.DataFrame([worst], index=["dice_worst_frame"])])
    videos, groups = len(table[video_keys(table)].drop_duplicates()), table["group"].nunique()
    rest = [name for name in ("dice_one_step", "dice_drop") if name in intervals.index]
    order = ["dice_first_frame", "dice_last_frame", "dice_worst_frame", f"ever_below_{level:g}", *rest]
    return (
        intervals.loc[order]
        .assign(
            groups=groups,
            videos=len(table[["group", "video"]].drop_duplicates()),
            frames=[videos, videos, *[len(table)] * (len(order) - 2)],
            n_undefined=0,
            n_missed=int(table["missed"].sum()),
            n_spurious=int(table["spurious"].sum()),
            note=note(groups),
        )
        .rename_axis("metric")
    )


def whole_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise every metric, of sequences also what only they have: `summarise`, and below it `sequence_summary`."""
    parts = [summarise(table), *([sequence_summary(table)] if has_sequences(table) else [])]
    return pd.concat(parts)


def with_drop(table: pd.DataFrame) -> pd.DataFrame:
    """Add `dice_drop`, one-step minus free-running Dice of each frame, to a table that has `dice_one_step`."""
    if "dice_one_step" not in table:
        return table
    return table.assign(dice_drop=table["dice_one_step"] - table["dice"])
