"""The worst frame of sequences: the minimum over time of the mean over groups."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.evaluation.bootstrap import DRAWS_AT_ONCE, EQUAL, Interval
from lexy.evaluation.metrics import table_metrics
from lexy.evaluation.summary import profile, require

Curves = tuple[pd.DataFrame, pd.DataFrame | None]


def worst_frame(
    table: pd.DataFrame, metric: str = "dice", *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval:
    """Find the worst over time of the mean over groups, with a percentile bootstrap interval over groups.

    Worst is the minimum of a metric of which larger is better, and the maximum of any other (distances, errors). At
    each frame index the mean is over the groups that have a defined value there, in each resample as well. The worst
    frame of a resample is found anew and is worse than that of the sample more often than better, so that the interval
    may lie to one side of the value, and clips of unequal length make it wide.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows of clips that count their frames alike; with a column `seed`, seeds are averaged within a group.
    metric : str
        A metric of the table.
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
        If the metric is missing or none, or one that is always defined has gaps.
    """
    require(table, metric)
    known = {each.name: each for each in table_metrics(table)}
    if metric not in known:
        raise UserError(f"no worst frame of {metric}: give one of {', '.join(known)}")
    sign = 1 if known[metric].larger_is_better else -1
    pair = (profile(table, metric, table["frame"]), None)
    return worst_of_curves([pair], sign=sign, confidence=confidence, resamples=resamples, seed=seed)[0]


def worst_of_curves(
    curves: Sequence[Curves],
    *,
    sign: int = 1,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> list[Interval]:
    """Find the worst frames of several curves at once; or of one minus that of another, each at its own time.

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


def _bootstrap(
    statistics: Sequence[Callable[[NDArray[np.float64]], NDArray[np.float64]]],
    shape: tuple[int, ...],
    confidence: float,
    resamples: int,
    seed: int,
) -> list[Interval]:
    """Compute percentile intervals of statistics of how often each group was drawn, (R, G) → (R,); shape: G, F."""
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
    """Return the worst over time of the means of curves (G, F), NaN where undefined, by counts of each group (R, G)."""
    known = ~np.isnan(curves)
    total = counts @ np.where(known, curves, 0.0)
    if known.all():
        every: NDArray[np.float64] = sign * (sign * total).min(axis=1) / counts.sum(axis=1)
        return every
    weight = counts @ known.astype(np.float64)
    means = np.divide(sign * total, weight, out=np.full_like(total, np.inf), where=weight > 0)
    worst: NDArray[np.float64] = sign * means.min(axis=1)
    return worst
