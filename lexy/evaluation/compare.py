"""Two runs on the same groups, compared group by group."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata, wilcoxon

from lexy.errors import UserError
from lexy.evaluation.bootstrap import bootstrap_mean
from lexy.evaluation.summary import group_means, note


def compare(
    table: pd.DataFrame,
    baseline: pd.DataFrame,
    metric: str = "dice",
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> pd.DataFrame:
    """Paired differences, `table` minus `baseline`, of the groups' means.

    Parameters
    ----------
    table, baseline : pd.DataFrame
        Per-frame rows of two runs on the same groups.
    metric : str
        Column to compare.
    confidence, resamples, seed
        As for `summarise`.

    Returns
    -------
    pd.DataFrame
        One row, index `metric`. `difference`, `low`, `high`, `method`: mean difference with its bootstrap interval;
        `p`: two-sided Wilcoxon signed-rank test (1 where no group differs); `effect`: matched-pairs rank-biserial
        correlation in [-1, 1], positive where `table` has the larger values; `groups` compared; `n_undefined` groups
        left out because one of the runs has no value; `note`.

    Raises
    ------
    UserError
        If a group is not in both tables.
    """
    every = paired_differences(group_means(table, [metric]), group_means(baseline, [metric]))[metric]
    differences = every.dropna().to_numpy()
    mean, low, high, method = bootstrap_mean(differences, confidence, resamples, seed)
    row = {
        "metric": metric,
        "difference": mean,
        "low": low,
        "high": high,
        "method": method,
        "p": float(wilcoxon(differences).pvalue) if differences.any() else 1.0 if len(differences) else np.nan,
        "effect": _rank_biserial(differences) if len(differences) else np.nan,
        "groups": len(differences),
        "n_undefined": len(every) - len(differences),
        "note": note(len(differences)),
    }
    return pd.DataFrame([row]).set_index("metric")


def paired_differences(values: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Means of groups (`group_means`) of one run minus those of another; UserError if the groups are not the same."""
    unpaired = sorted(set(values.index) ^ set(reference.index))
    if unpaired:
        raise UserError(
            f"runs are compared on the same groups; not in both tables: {', '.join(map(str, unpaired))}. "
            "Evaluate both runs on the same data"
        )
    return values - reference


def _rank_biserial(differences: np.ndarray) -> float:
    """Difference of the rank sums of positive and negative differences over their total; equal pairs do not count."""
    differences = differences[differences != 0]
    if len(differences) == 0:
        return 0.0
    ranks = rankdata(np.abs(differences))
    return float((ranks * np.sign(differences)).sum() / ranks.sum())
