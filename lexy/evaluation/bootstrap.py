"""Bootstrap intervals of means over independent groups, of many columns at once."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

FEW_GROUPS = 15
DRAWS_AT_ONCE = 4_000_000  # bounds the memory; fixed, so that it cannot change a digit
COLUMNS_AT_ONCE = 400  # bounds the memory: resamples × columns
EQUAL = 1e-12  # what rounding makes of equal values


class Interval(NamedTuple):
    """A mean with its interval and how this was found: BCa, percentile, constant or none."""

    mean: float
    low: float
    high: float
    method: str


def bootstrap_mean(
    values: NDArray[np.float64], confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval:
    """Return the interval of the mean of one column, (G,) float64, finite: see `bootstrap_means`."""
    mean, low, high, method, _ = next(_intervals(values[:, None], confidence, resamples, seed))
    return Interval(mean, low, high, method)


def bootstrap_means(
    values: pd.DataFrame, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> pd.DataFrame:
    """Compute the mean of every column with a bias-corrected and accelerated (BCa) bootstrap interval.

    Efron, B., "Better Bootstrap Confidence Intervals", JASA 82:171-185, 1987. The digits are those of
    `scipy.stats.bootstrap`, which takes one column at a time, but where the mean of a resample ties with that of the
    sample: SciPy tells by rounding whether it does, which matters for few groups.

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
        `groups`, how many have a value. Without interval (NaN, method `none`) for fewer than 3 groups; [v, v]
        (`constant`) for equal values; the percentile interval (`percentile`) where BCa is degenerate.
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
        levels: NDArray[np.float64] = ndtr(bias + shifted / (1 - acceleration * shifted))
        return levels


def _resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """(K, R) means of resamples, drawn in blocks; SciPy draws the same with `batch=DRAWS_AT_ONCE // G`."""
    groups, rng, means = len(values), np.random.default_rng(seed), []
    size = max(1, DRAWS_AT_ONCE // groups)
    for start in range(0, resamples, size):
        part = min(size, resamples - start)
        drawn = rng.integers(0, groups, (part, groups)) + groups * np.arange(part)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=part * groups).reshape(part, groups)
        means.append(values.T @ counts.T.astype(np.float64) / groups)
    return np.concatenate(means, axis=1)
