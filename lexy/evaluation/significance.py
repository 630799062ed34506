"""Tests of paired differences, and their correction for several comparisons."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon


def signed_rank(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Test by Wilcoxon's signed ranks whether paired differences lie about zero.

    Parameters
    ----------
    differences : ndarray of float64, (N,)
        Finite.

    Returns
    -------
    p, effect : float
        Two-sided p, 1 where all differences are zero; matched-pairs rank-biserial correlation in [-1, 1], positive
        where most differences are: the difference of the rank sums over their total, without differences of zero.
        NaN without differences.
    """
    if len(differences) == 0:
        return np.nan, np.nan
    unequal = differences[differences != 0]
    if len(unequal) == 0:
        return 1.0, 0.0
    ranks = rankdata(np.abs(unequal))
    return float(wilcoxon(differences).pvalue), float((ranks * np.sign(unequal)).sum() / ranks.sum())


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p values for several comparisons by Holm's step-down procedure.

    Holm, S., "A Simple Sequentially Rejective Multiple Test Procedure", Scand J Stat 6:65-70, 1979.

    Parameters
    ----------
    p : ndarray of float64, (N,)
        In [0, 1]; NaN is no comparison.

    Returns
    -------
    ndarray of float64, (N,)
        Corrected, in [0, 1], in the order given; NaN stays NaN.
    """
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p, kind="stable")[: int(np.isfinite(p).sum())]  # NaN is sorted last
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected
