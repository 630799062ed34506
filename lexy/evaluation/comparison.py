"""Methods beside each other: every metric with its interval, and paired differences."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lexy.errors import UserError
from lexy.evaluation.bootstrap import bootstrap_means
from lexy.evaluation.group_values import all_curves
from lexy.evaluation.metrics import in_order, table_metrics
from lexy.evaluation.sequences import with_drop
from lexy.evaluation.significance import holm, signed_rank
from lexy.evaluation.summary import group_means, has_sequences, note, require
from lexy.evaluation.worst_frame import Curves, worst_of_curves

WORST = "dice_worst_frame"


def comparison(
    tables: Mapping[str, pd.DataFrame],
    reference: str,
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every method with a reference method, on the same frames.

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
        Index `method`, in the order given. For each metric that methods are compared by (`dice_worst_frame` of
        sequences only; NaN for a method without it): `dice`, `dice_low`, `dice_high`, and, where the reference has the
        metric, the paired difference, reference minus this row, `dice_difference`, `dice_difference_low`,
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
    tables = {name: with_drop(table) for name, table in tables.items()}
    for name, table in tables.items():
        try:
            _check_comparable(table, tables[reference])
        except UserError as mistake:
            raise UserError(f"{reference} against {name}: {mistake}") from mistake
    means = {
        name: group_means(table, [each.name for each in table_metrics(table) if each.compared])
        for name, table in tables.items()
    }
    values = {name: each.dropna(axis=1, how="all") for name, each in means.items()}
    base, curves = means[reference], all_curves(tables)
    paired = {
        (name, metric): base[metric] - own[metric] for name, own in values.items() for metric in own if metric in base
    }
    moving = {name: _common(curves[reference], curve) for name, curve in curves.items()}
    bootstrap = {"confidence": confidence, "resamples": resamples, "seed": seed}
    alone = _intervals(pd.concat(values, axis=1), _single(curves), **bootstrap)
    against = _intervals(pd.DataFrame(paired), moving, **bootstrap)
    wide = [_wide(alone, ""), _wide(against, "_difference")]
    last = pd.DataFrame([{"reference": reference, **_counts(table)} for table in tables.values()], index=list(tables))
    result = pd.concat([*wide, last], axis=1).loc[list(tables)].rename_axis("method")
    shown = in_order(alone["metric"])
    ends = ("", "_low", "_high", "_difference", "_difference_low", "_difference_high")
    ordered = [f"{metric.name}{end}" for metric in shown for end in ends]
    # There is no difference to what the reference has not.
    return result[[*(column for column in ordered if column in result), *last]]


def summaries(
    values: Mapping[str, pd.DataFrame], curves: Mapping[str, pd.DataFrame], resamples: int = 9999
) -> pd.DataFrame:
    """Compute every metric of every method with its 95 % interval.

    Parameters
    ----------
    values : mapping
        Method → `group_values`.
    curves : mapping
        Method → its curve, of those that `all_curves` gives.
    resamples : int
        Of the bootstrap.

    Returns
    -------
    pd.DataFrame
        Columns: `row`, the method; `metric`; `mean`, `low`, `high`, `method` of the interval, `groups`, `note`.
    """
    found = _intervals(pd.concat(values, axis=1), _single(curves), resamples=resamples)
    return found.assign(note=[note(groups) for groups in found["groups"]])


def differences(
    values: Mapping[str, pd.DataFrame],
    curves: Mapping[str, pd.DataFrame],
    reference: str,
    metrics: Sequence[str] | None = None,
    resamples: int = 9999,
) -> pd.DataFrame:
    """Compute paired differences of every method from a reference, method minus reference, over their shared groups.

    Parameters
    ----------
    values, curves : mapping
        As for `summaries`.
    reference : str
        The method that all others are compared with.
    metrics : sequence of str, optional
        Those that both methods have are compared; default: the metrics that methods are compared by. The worst frames
        over the frames that both have, each method's at its own time, in the same resamples; it is no group's own, so
        it has neither p nor effect.
    resamples : int
        As for `summaries`.

    Returns
    -------
    pd.DataFrame
        Columns: `row`, `reference`, `metric`; `difference`, `low`, `high`, `method` of the interval; `p` and `effect`
        as of `signed_rank`; `p_holm`, corrected by Holm for the `comparisons` of this metric with the reference;
        `groups` compared; `n_unpaired` groups that only one of the two has, left out; `note`. Empty without other
        methods.

    Raises
    ------
    UserError
        There is no such method.
    """
    if reference not in values:
        raise UserError(f"no row {reference} to compare with; there are: {', '.join(values) or 'none'}.")
    base, paired, unpaired = values[reference], {}, {}
    others = [name for name in values if name != reference]
    if metrics is None:
        metrics = [each.name for each in in_order([*base, WORST]) if each.compared]
    for name in others:
        for metric in metrics:
            if metric in values[name] and metric in base:
                row, other = values[name][metric].align(base[metric])
                paired[name, metric] = row - other
                unpaired[name, metric] = int((row.notna() ^ other.notna()).sum())
    if not paired:
        return pd.DataFrame()
    moving = {
        name: _common(curves[name], curves[reference])
        for name in others
        if name in curves and reference in curves and WORST in metrics
    }
    found = _intervals(pd.DataFrame(paired), moving, resamples=resamples).rename(columns={"mean": "difference"})
    tested = {key: signed_rank(each.dropna().to_numpy()) for key, each in paired.items()}
    every = {name: len(set(_defined(curves[name])) | set(_defined(curves[reference]))) for name in moving}
    keys = list(zip(found["row"], found["metric"], strict=True))
    found["p"], found["effect"] = zip(*(tested.get(key, (float("nan"), float("nan"))) for key in keys), strict=True)
    by_metric = found.groupby("metric")["p"]
    found["p_holm"] = by_metric.transform(lambda p: holm(p.to_numpy()))
    found["comparisons"] = by_metric.transform("count")
    found["n_unpaired"] = [
        unpaired[key] if key in unpaired else every[key[0]] - groups
        for key, groups in zip(keys, found["groups"], strict=True)
    ]
    found = found.sort_values("row", key=lambda rows: rows.map(others.index), kind="stable")
    found["note"] = [note(groups) for groups in found["groups"]]
    first = ["row", "reference", "metric", "difference", "low", "high", "method", "p", "p_holm", "comparisons"]
    return found.assign(reference=reference)[[*first, "effect", "groups", "n_unpaired", "note"]]


def _intervals(values: pd.DataFrame, curves: Mapping[str, Curves], **bootstrap: Any) -> pd.DataFrame:
    """Every column (method, metric) of values of groups and every worst frame with its interval, a row for each."""
    found = bootstrap_means(values, **bootstrap).reset_index(names=["row", "metric"])
    worst = worst_of_curves(list(curves.values()), **bootstrap)
    rows = [
        (name, WORST, *interval, len(_defined(pair[0])))
        for (name, pair), interval in zip(curves.items(), worst, strict=True)
    ]
    return pd.concat([found, pd.DataFrame(rows, columns=found.columns)], ignore_index=True) if rows else found


def _wide(intervals: pd.DataFrame, kind: str) -> pd.DataFrame:
    """A row for each method, columns `dice`, `dice_low`, `dice_high`; `kind` follows the metric's name."""
    columns: dict[str, pd.Series[float]] = {}
    for metric, rows in intervals.set_index("row").groupby("metric"):
        columns |= {f"{metric}{kind}": rows["mean"], f"{metric}{kind}_low": rows["low"]}
        columns[f"{metric}{kind}_high"] = rows["high"]
    return pd.DataFrame(columns)


def _single(curves: Mapping[str, pd.DataFrame]) -> dict[str, Curves]:
    return {name: (curve, None) for name, curve in curves.items()}


def _common(curve: pd.DataFrame, base: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both over the groups and frames that both have."""
    curve, base = curve.align(base, join="inner")
    return curve.where(base.notna()), base.where(curve.notna())


def _defined(curve: pd.DataFrame) -> pd.Index:
    """The groups that have a value."""
    return curve.index[curve.notna().any(axis=1)]


def _check_comparable(table: pd.DataFrame, reference: pd.DataFrame) -> None:
    """UserError if a table lacks a metric of the reference that is always defined, or one of its groups or frames."""
    always = [each for each in table_metrics(reference) if each.compared and not each.may_be_undefined]
    require(table, "dice", "nc_error", "missed", *(each.name for each in always if not each.of_sequences))
    _check_same([set(one["group"]) for one in (table, reference)], "runs are compared on the same groups", "")
    if has_sequences(table):
        cells = [set(one["group"].astype(str) + " frame " + one["frame"].astype(str)) for one in (table, reference)]
        _check_same(cells, "worst frames are compared over the same groups and frames", ", from the same start")


def _check_same(both: Sequence[set[str]], rule: str, advice: str) -> None:
    unpaired = sorted(map(str, both[0] ^ both[1]))
    if unpaired:
        more = f" and {len(unpaired) - 5} more" if len(unpaired) > 5 else ""
        raise UserError(
            f"{rule}; not in both tables: {', '.join(unpaired[:5])}{more}. Evaluate both runs on the same data{advice}"
        )


def _counts(table: pd.DataFrame) -> dict[str, Any]:
    seeds = table["seed"].nunique() if "seed" in table else 1
    groups = table["group"].nunique()
    frames = {
        "frames": len(table),
        "n_missed": table["missed"].sum(),
        "nc_error_undefined": table["nc_error"].isna().sum(),
    }
    each_seed = {name: float(count / seeds) for name, count in frames.items()}
    return {"groups": groups, "seeds": seeds, **each_seed, "note": note(groups)}
