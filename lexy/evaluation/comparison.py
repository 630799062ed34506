"""A network beside its baselines, on the same frames."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lexy.errors import UserError
from lexy.evaluation.columns import bootstrap_means
from lexy.evaluation.compare import paired_differences
from lexy.evaluation.sequences import with_drop
from lexy.evaluation.summary import group_means, has_sequences, note, require
from lexy.evaluation.worst_frame import compare_worst_frame, worst_frame

WORST, MEANS = "dice_worst_frame", ("dice", "hd95", "hd95_um", "nc_error", "dice_one_step", "dice_drop")
QUALITIES = (MEANS[0], WORST, *MEANS[1:])
ENDS = ["mean", "low", "high"]


def comparison(
    tables: Mapping[str, pd.DataFrame],
    reference: str,
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> pd.DataFrame:
    """Every method beside the others, and the reference method against each.

    Parameters
    ----------
    tables : mapping
        Method → per-frame rows on the same groups and frames.
    reference : str
        The method that is compared with every other.
    confidence, resamples, seed
        As for `summarise`.

    Returns
    -------
    pd.DataFrame
        Index `method`, in the order given. For each of `QUALITIES` (`dice_worst_frame` of sequences only;
        `dice_one_step` and `dice_drop` only where a table has them, NaN for methods without): `dice`, `dice_low`,
        `dice_high`, and the paired difference, reference minus this row, `dice_difference`, `dice_difference_low`,
        `dice_difference_high`. Then `reference`, its name; `groups`; `seeds`, how many repetitions (1 without a column
        `seed`); `frames`, and of them `n_missed` and `nc_error_undefined` (left out of `nc_error`), each the mean of a
        seed, so that rows can be compared; `note`.

    Raises
    ------
    UserError
        If there is no such method, or a table lacks a column, a group or a frame.
    """
    if reference not in tables:
        raise UserError(f"no method {reference} to compare with; there are: {', '.join(tables) or 'none'}")
    tables = {name: with_drop(table) if "dice_one_step" in table else table for name, table in tables.items()}
    rows, means = [], _means(tables[reference])
    for name, table in tables.items():
        try:
            qualities = _qualities(table, tables[reference], means, confidence, resamples, seed)
        except UserError as mistake:
            raise UserError(f"{reference} against {name}: {mistake}") from mistake
        last = {"reference": reference, **_counts(table), "note": note(table["group"].nunique())}
        rows.append({"method": name, **qualities, **last})
    result = pd.DataFrame(rows).set_index("method")
    ends = ("", "_low", "_high", "_difference", "_difference_low", "_difference_high")
    columns = [f"{quality}{end}" for quality in QUALITIES for end in ends]
    ordered = [column for column in columns if column in result]  # no difference to what the reference has not
    return result[[*ordered, *last]]


def _qualities(
    table: pd.DataFrame, reference: pd.DataFrame, means: pd.DataFrame, confidence: float, resamples: int, seed: int
) -> dict[str, float]:
    """Columns of `comparison` for one method; `means` are those of the reference."""
    bootstrap: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}
    own = _means(table).dropna(axis=1, how="all")
    shared = own.columns.intersection(means.columns)
    alone = bootstrap_means(own, **bootstrap)
    paired = bootstrap_means(paired_differences(means[shared], own[shared]), **bootstrap)
    found: dict[str, tuple[float, ...]] = {name: tuple(alone.loc[name, ENDS]) for name in alone.index}
    found |= {f"{name}_difference": tuple(paired.loc[name, ENDS]) for name in paired.index}
    if has_sequences(table):
        found[WORST] = worst_frame(table, **bootstrap)[:3]
        worst = compare_worst_frame(reference, table, **bootstrap).iloc[0]
        found[f"{WORST}_difference"] = (worst["difference"], worst["low"], worst["high"])
    ends = ("", "_low", "_high")
    return {f"{name}{end}": value for name, values in found.items() for end, value in zip(ends, values, strict=True)}


def _counts(table: pd.DataFrame) -> dict[str, float]:
    seeds = table["seed"].nunique() if "seed" in table else 1
    frames = {
        "frames": len(table),
        "n_missed": table["missed"].sum(),
        "nc_error_undefined": table["nc_error"].isna().sum(),
    }
    return {"groups": table["group"].nunique(), "seeds": seeds} | {name: float(n / seeds) for name, n in frames.items()}


def _means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean of each of `MEANS` that the table has in each group."""
    require(table, "dice", "hd95", "nc_error", "missed")
    return group_means(table, [metric for metric in MEANS if metric in table])
