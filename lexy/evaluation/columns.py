"""Statistics of many columns at once: the digits of `bootstrap_mean` and `worst_frame`, in a fraction of the time."""

from collections.abc import Iterator, Mapping, Sequence

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


def worst_frames(
    curves: Mapping[str, pd.DataFrame], confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> pd.DataFrame:
    """`worst_frame` of the Dice of several methods.

    Parameters
    ----------
    curves : mapping
        Method → (G, F) mean of each group at each frame index, NaN where there is none (see `profile`).
    confidence, resamples, seed
        As for `bootstrap_means`.

    Returns
    -------
    pd.DataFrame
        Index: the methods. Columns as of `bootstrap_means`.
    """
    shapes: dict[tuple[int, int], list[str]] = {}
    clean = {name: table.dropna(how="all") for name, table in curves.items()}
    for name, table in clean.items():
        shapes.setdefault((len(table), table.shape[1]), []).append(name)
    rows: dict[str, tuple[float, float, float, str, int]] = {}
    for (groups, frames), names in shapes.items():
        arrays = {name: clean[name].to_numpy(np.float64) for name in names}
        value = {name: _worst(array, np.ones((1, groups)))[0] if groups else np.nan for name, array in arrays.items()}
        if groups < 3:
            rows |= {name: (float(value[name]), np.nan, np.nan, "none", groups) for name in names}
            continue
        drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
        for counts in _multinomial(groups, frames, resamples, seed):
            for name, array in arrays.items():
                drawn[name].append(_worst(array, counts))
        for name in names:
            every = np.concatenate(drawn[name])
            constant = np.abs(every - value[name]).max() <= EQUAL
            low, high = np.quantile(every, [(1 - confidence) / 2, (1 + confidence) / 2])
            ends = (value[name], value[name], "constant") if constant else (low, high, "percentile")
            rows[name] = (float(value[name]), float(ends[0]), float(ends[1]), str(ends[2]), groups)
    columns = ["mean", "low", "high", "method", "groups"]
    return pd.DataFrame([rows[name] for name in curves], columns=columns, index=pd.Index(curves, name="method"))


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
    return means.pivot_table(index="group", columns="by", values=metric, dropna=False).sort_index()


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


def _multinomial(groups: int, frames: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each group is drawn, (R, G) in blocks, as `worst_frame` draws them."""
    rng, share, size = np.random.default_rng(seed), np.full(groups, 1 / groups), DRAWS_AT_ONCE // max(groups, frames)
    for start in range(0, resamples, max(1, size)):
        yield rng.multinomial(groups, share, min(max(1, size), resamples - start)).astype(np.float64)


def _worst(curves: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimum over time of the means of curves (G, F) with each group counted so often (R, G)."""
    known = ~np.isnan(curves)
    total = counts @ np.where(known, curves, 0.0)
    if known.all():
        return (total / counts.sum(axis=1, keepdims=True)).min(axis=1)
    weight = counts @ known.astype(np.float64)
    return np.divide(total, weight, out=np.full_like(total, np.inf), where=weight > 0).min(axis=1)
