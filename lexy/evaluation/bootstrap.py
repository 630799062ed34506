"""Bootstrap intervals of a mean over independent groups."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

FEW_GROUPS = 15
DRAWS_AT_ONCE = 4_000_000  # bounds the memory; fixed, so that it cannot change a digit


class Interval(NamedTuple):
    """A mean with its interval and how this was found: BCa, percentile, constant or none."""

    mean: float
    low: float
    high: float
    method: str


def bootstrap_mean(values: np.ndarray, confidence: float = 0.95, resamples: int = 9999, seed: int = 0) -> Interval:
    """Mean of the groups' values with a bias-corrected and accelerated (BCa) bootstrap interval.

    Efron, B., "Better Bootstrap Confidence Intervals", JASA 82:171-185, 1987, as in SciPy.

    Parameters
    ----------
    values : np.ndarray
        (G,) float64, finite: one value per independent group.
    confidence : float
        In (0, 1).
    resamples, seed : int
        The same seed gives the same digits.

    Returns
    -------
    Interval
        Without interval (NaN, method `none`) for fewer than 3 groups; [v, v] (`constant`) for equal values; the
        percentile interval (`percentile`) where BCa is degenerate.
    """
    if len(values) < 3:
        return Interval(float(values.mean()) if len(values) else np.nan, np.nan, np.nan, "none")
    if (values == values[0]).all():
        value = float(values[0])
        return Interval(value, value, value, "constant")
    mean = float(values.mean())
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SciPy warns of a degenerate BCa; `method` says it
            low, high = bootstrap(
                (values,),
                np.mean,
                confidence_level=confidence,
                n_resamples=resamples,
                batch=max(1, DRAWS_AT_ONCE // len(values)),
                method=method,
                random_state=np.random.default_rng(seed),
            ).confidence_interval
        if np.isfinite([low, high]).all():
            break
    return Interval(mean, float(low), float(high), method)
