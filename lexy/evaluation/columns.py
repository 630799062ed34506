"""Statistics of many columns at once: the digits of `bootstrap_mean`, in a fraction of the time."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from lexy.evaluation.bootstrap import DRAWS_AT_ONCE

COLUMNS_AT_ONCE = 400  # bounds the memory: resamples × columns
EQUAL = 1e-12  # what rounding makes of equal values


def bootstrap_means(
    values: pd.DataFrame, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> pd.DataFrame:
    """`bootstrap_mean` of every column.

    Parameters
    ----------
    values : pd.DataFrame
        (G, K) float64: a row for each independent group; NaN where a group has no value, which is left out.
    confidence : float
        In (0, 1).
    resamples, seed : int
        The same seed gives the same digits.

    Returns
    -------
    pd.DataFrame
        A row for each column of `values`, in its order: `mean`, `low`, `high`, `method` as `Interval` has them;
        `groups`, how many have a value.
    """
    data = values.to_numpy(np.float64)
    known = ~np.isnan(data)
    rows: dict[int, tuple[float, float, float, str, int]] = {}
    patterns: dict[bytes, list[int]] = {}
    for at in range(data.shape[1]):
        patterns.setdefault(known[:, at].tobytes(), []).append(at)
    for columns in patterns.values():
        for start in range(0, len(columns), COLUMNS_AT_ONCE):
            some = columns[start : start + COLUMNS_AT_ONCE]
            part = data[np.ix_(known[:, some[0]], some)]
            rows.update(zip(some, _intervals(part, confidence, resamples, seed), strict=True))
    found = [rows[at] for at in range(data.shape[1])]
    return pd.DataFrame(found, columns=["mean", "low", "high", "method", "groups"], index=values.columns)


def profile(table: pd.DataFrame, metric: str, by: Sequence[object] | pd.Series) -> pd.DataFrame:
    """Mean of a metric in each group at each value of `by`: over frames, then videos, then seeds.

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


def _intervals(
    values: NDArray[np.float64], confidence: float, resamples: int, seed: int
) -> Iterator[tuple[float, float, float, str, int]]:
    """Of columns (n, K) without gaps."""
    groups = len(values)
    if groups < 3:
        yield from ((float(c.mean()) if groups else np.nan, np.nan, np.nan, "none", groups) for c in values.T)
        return
    drawn = np.sort(_resampled_means(values, resamples, seed), axis=1)
    means, tails = values.mean(axis=0), np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    adjusted = _bca_levels(values, means, drawn, tails)
    for at, mean in enumerate(means):
        if (values[:, at] == values[0, at]).all():
            yield (float(values[0, at]),) * 3 + ("constant", groups)
            continue
        degenerate = not np.isfinite(adjusted[at]).all()
        low, high = np.interp(
            (tails if degenerate else adjusted[at]) * (resamples - 1), np.arange(resamples), drawn[at]
        )
        yield float(mean), float(low), float(high), "percentile" if degenerate else "BCa", groups


def _bca_levels(
    values: NDArray[np.float64], means: NDArray[np.float64], drawn: NDArray[np.float64], tails: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(K, 2) levels of the bias-corrected and accelerated interval of a mean; NaN where it is degenerate."""
    below = [np.searchsorted(row, (mean - EQUAL, mean + EQUAL)).mean() for row, mean in zip(drawn, means, strict=True)]
    with np.errstate(all="ignore"):
        bias = ndtri(np.array(below) / drawn.shape[1])[:, None]
        centred = values - means
        acceleration = ((centred**3).sum(axis=0) / (centred**2).sum(axis=0) ** 1.5 / 6)[:, None]
        shifted = bias + ndtri(tails)
        return ndtr(bias + shifted / (1 - acceleration * shifted))


def _resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """(K, R) means of resamples, drawn in the blocks in which `bootstrap_mean` has SciPy draw them."""
    groups, rng, means = len(values), np.random.default_rng(seed), []
    size = max(1, DRAWS_AT_ONCE // groups)
    for start in range(0, resamples, size):
        part = min(size, resamples - start)
        drawn = rng.integers(0, groups, (part, groups)) + groups * np.arange(part)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=part * groups).reshape(part, groups)
        means.append(values.T @ counts.T.astype(np.float64) / groups)
    return np.concatenate(means, axis=1)
