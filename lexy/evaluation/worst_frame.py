"""The worst frame of sequences: the minimum over time of the mean over groups."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.evaluation.bootstrap import DRAWS_AT_ONCE, Interval
from lexy.evaluation.columns import profile
from lexy.evaluation.summary import METRICS, check_columns, note, require

# Shares of agreement, of which the smallest is the worst; of every other metric (distances, errors) the largest is.
AGREEMENT = {"dice", "iou", "sensitivity", "specificity", "surface_dice", "dice_one_step"}
EQUAL = 1e-12  # what rounding makes of equal values

Curves = tuple[pd.DataFrame, pd.DataFrame | None]


def worst_frame(
    table: pd.DataFrame, metric: str = "dice", *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval:
    """Worst over time of the mean over groups, with a percentile bootstrap interval over groups.

    Worst is the minimum of a share of agreement (`AGREEMENT`) and the maximum of a distance or an error. At each frame
    index the mean is over the groups that have a defined value there, in each resample as well. The worst frame of a
    resample is found anew and is worse than that of the sample more often than better, so that the interval may lie
    to one side of the value, and clips of unequal length make it wide.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows of clips that count their frames alike; with a column `seed`, seeds are averaged within a group.
    metric : str
        One of `METRICS`, or `dice_one_step`.
    confidence, resamples, seed
        As for `summarise`.

    Returns
    -------
    Interval
        `mean` is the worst frame's mean. Method: percentile, constant (all resamples equal) or none (fewer than 3
        groups).

    Raises
    ------
    UserError
        If the metric is unknown or missing, or one that is always defined has gaps.
    """
    sign = _sign(metric)
    pair = (_curves(table, metric), None)
    return worst_of_curves([pair], sign=sign, confidence=confidence, resamples=resamples, seed=seed)[0]


def worst_of_curves(
    curves: Sequence[Curves],
    *,
    sign: int = 1,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> list[Interval]:
    """`worst_frame` of several curves at once; or of one minus that of another, each at its own time.

    Parameters
    ----------
    curves : sequence of (DataFrame, DataFrame or None)
        (G, F) mean of each group at each frame index, NaN where there is none, and the one to be subtracted, which is
        resampled with it. Groups without any frame are left out.
    sign : int
        1 where the smallest value is the worst, -1 where the largest is.
    confidence, resamples, seed
        As for `summarise`.
    """
    arrays = [_known(*pair) for pair in curves]
    found: dict[int, Interval] = {}
    for shape in {each[0].shape for each in arrays}:
        alike = [at for at, each in enumerate(arrays) if each[0].shape == shape]
        statistics = [partial(_statistic, arrays[at], sign) for at in alike]
        found |= zip(alike, _bootstrap(statistics, shape, confidence, resamples, seed), strict=True)
    return [found[at] for at in range(len(arrays))]


def _known(curves: pd.DataFrame, others: pd.DataFrame | None) -> list[NDArray[np.float64]]:
    known = curves.notna().any(axis=1)
    if others is not None:
        known &= others.notna().any(axis=1)
    return [each[known].to_numpy(np.float64) for each in (curves, others) if each is not None]


def _statistic(arrays: Sequence[NDArray[np.float64]], sign: int, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    worst, *others = [_worst(array, counts, sign) for array in arrays]
    return worst - others[0] if others else worst


def compare_worst_frame(
    table: pd.DataFrame,
    baseline: pd.DataFrame,
    metric: str = "dice",
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> pd.DataFrame:
    """Worst frame of `table` minus that of `baseline`, each at its own time, in the same resamples of groups.

    Parameters
    ----------
    table, baseline : pd.DataFrame
        Per-frame rows of two runs on the same groups and frames.
    metric, confidence, resamples, seed
        As for `worst_frame`.

    Returns
    -------
    pd.DataFrame
        One row, index `metric` (`METRIC_worst_frame`). `difference`, `low`, `high`, `method`, `groups`, `n_undefined`,
        `note` as `compare` gives them. A worst frame is no group's own, hence neither `p` nor `effect`.

    Raises
    ------
    UserError
        If a group, or a frame of one, is not in both tables; and as for `worst_frame`.
    """
    sign, first, second = _sign(metric), _curves(table, metric), _curves(baseline, metric)
    cells = [set(frames[["group", "frame"]].itertuples(index=False, name=None)) for frames in (table, baseline)]
    unpaired = sorted(f"{group} frame {frame}" for group, frame in cells[0] ^ cells[1])
    if unpaired:
        raise UserError(
            f"worst frames are compared over the same groups and frames; not in both tables: {', '.join(unpaired[:5])}"
            f"{f' and {len(unpaired) - 5} more' if len(unpaired) > 5 else ''}. Evaluate both runs on the same data, "
            "from the same start"
        )
    mean, low, high, method = worst_of_curves(
        [(first, second)], sign=sign, confidence=confidence, resamples=resamples, seed=seed
    )[0]
    groups = int((first.notna().any(axis=1) & second.notna().any(axis=1)).sum())
    row = {
        "metric": f"{metric}_worst_frame",
        "difference": mean,
        "low": low,
        "high": high,
        "method": method,
        "groups": groups,
        "n_undefined": len(first) - groups,
        "note": note(groups),
    }
    return pd.DataFrame([row]).set_index("metric")


def _bootstrap(
    statistics: Sequence[Callable[[NDArray[np.float64]], NDArray[np.float64]]],
    shape: tuple[int, ...],
    confidence: float,
    resamples: int,
    seed: int,
) -> list[Interval]:
    """Percentile intervals of statistics of how often each group was drawn, (R, G) → (R,); shape: G, F."""
    groups = shape[0]
    if groups == 0:
        return [Interval(np.nan, np.nan, np.nan, "none")] * len(statistics)
    values = [float(statistic(np.ones((1, groups)))[0]) for statistic in statistics]
    if groups < 3:
        return [Interval(value, np.nan, np.nan, "none") for value in values]
    rng, share = np.random.default_rng(seed), np.full(groups, 1 / groups)
    size = max(1, DRAWS_AT_ONCE // max(shape))
    drawn: list[list[NDArray[np.float64]]] = [[] for _ in statistics]
    for done in range(0, resamples, size):  # to draw takes longer than all else, so all share it
        counts = rng.multinomial(groups, share, min(size, resamples - done)).astype(np.float64)
        for parts, statistic in zip(drawn, statistics, strict=True):
            parts.append(statistic(counts))
    return [_interval(value, np.concatenate(parts), confidence) for value, parts in zip(values, drawn, strict=True)]


def _interval(value: float, drawn: NDArray[np.float64], confidence: float) -> Interval:
    if np.abs(drawn - value).max() <= EQUAL:
        return Interval(value, value, value, "constant")
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), "percentile")


def _worst(curves: NDArray[np.float64], counts: NDArray[np.float64], sign: int) -> NDArray[np.float64]:
    """Worst over time of the means of curves (G, F), NaN where undefined, with each group counted so often (R, G)."""
    known = ~np.isnan(curves)
    total = counts @ np.where(known, curves, 0.0)
    if known.all():
        return sign * (sign * total).min(axis=1) / counts.sum(axis=1)
    weight = counts @ known.astype(np.float64)
    means = np.divide(sign * total, weight, out=np.full_like(total, np.inf), where=weight > 0)
    return sign * means.min(axis=1)


def _sign(metric: str) -> int:
    """1 where the smallest value is the worst, -1 where the largest is."""
    if metric in AGREEMENT:
        return 1
    if metric in METRICS:
        return -1
    raise UserError(f"no worst frame of {metric}: give one of {', '.join([*METRICS, 'dice_one_step'])}")


def _curves(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Each group's mean, seeds averaged, at each frame index: groups × frames, NaN where there is none."""
    require(table, metric)
    check_columns(table, [metric])
    return profile(table, metric, table["frame"])
