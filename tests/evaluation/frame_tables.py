"""Small per-frame tables whose figures can be computed by hand."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from lexy.evaluation.metrics import METRICS

FEW = 200  # resamples


def frames(*rows: tuple[str, str, int, float], **columns: list[float] | float) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["group", "video", "frame", "dice"])
    table["missed"], table["spurious"] = table["dice"] == 0, False
    return table.assign(**{"hd95": 10 * (1 - table["dice"]), "nc_error": 0.1, **columns})


def curves(values: list[list[float]] | np.ndarray) -> pd.DataFrame:
    """One video per group, groups × frames."""
    return frames(*[(f"g{g:02}", "v", t, float(dice)) for g, row in enumerate(values) for t, dice in enumerate(row)])


def all_metrics(groups: int = 12, length: int = 5, seed: int = 0, **columns: float) -> pd.DataFrame:
    """Every metric of a frame, at random."""
    rng = np.random.default_rng(seed)
    rows = curves(rng.beta(5, 2, (groups, length)))
    names = [metric.name for metric in METRICS if metric.compute and metric.name not in rows]
    return rows.assign(**{name: rng.random(len(rows)) for name in names} | columns)


THREE = curves([[1.0, 0.5, 0.75], [0.5, 0.25, 0.75], [0.75, 0.75, 0.0]])  # means 0.75, 0.5, 0.5
dices = st.integers(0, 64).map(lambda n: n / 64)
grids = st.integers(3, 6).flatmap(
    lambda width: st.lists(st.lists(dices, min_size=width, max_size=width), min_size=1, max_size=6)
)
