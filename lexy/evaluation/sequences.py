"""What is measured of sequences beyond the mean: worst frame, contrast, first failure, one step against many."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.evaluation.bootstrap import DRAWS_AT_ONCE, Interval, bootstrap_mean
from lexy.evaluation.compare import compare
from lexy.evaluation.summary import METRICS, group_means, note

# Shares of agreement, of which the smallest is the worst; of every other metric (distances, errors) the largest is.
AGREEMENT = {"dice", "iou", "sensitivity", "specificity", "surface_dice", "dice_one_step"}
CONTRAST_EDGES = (-1.0, -0.5, -0.3, -0.2, -0.1, -0.05, -0.02, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
WORST, MEANS = "dice_worst_frame", ("dice", "hd95", "nc_error", "dice_one_step", "dice_drop")
QUALITIES = (MEANS[0], WORST, *MEANS[1:])
EQUAL = 1e-12  # what rounding makes of equal values


class Falls(NamedTuple):
    """Share of videos that ever fall below a level, and the median first frame (of those that do; NaN for none)."""

    share: Interval
    median_first_frame: float


def worst_frame(
    table: pd.DataFrame, metric: str = "dice", *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval:
    """Worst over time of the mean over groups, with a percentile bootstrap interval over groups.

    Worst is the minimum of a share of agreement (`AGREEMENT`) and the maximum of a distance or an error. At each frame
    index the mean is over the groups that have a defined value there, in each resample as well. The worst frame of a
    resample is found anew and is worse than that of the sample more often than better, so that the interval may lie
    to one side of the value, and clips of unequal length make it wide.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows of clips that count their frames alike; with a column `seed`, seeds are averaged within a group.
    metric : str
        One of `METRICS`, or `dice_one_step`.
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
        If the metric is unknown or missing, or one that is always defined has gaps.
    """
    sign, curves = _sign(metric), _curves(table, metric).dropna(how="all").to_numpy()
    return _bootstrap(lambda counts: _worst(curves, counts, sign), curves.shape, confidence, resamples, seed)


def compare_worst_frame(
    table: pd.DataFrame,
    baseline: pd.DataFrame,
    metric: str = "dice",
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> pd.DataFrame:
    """Worst frame of `table` minus that of `baseline`, each at its own time, in the same resamples of groups.

    Parameters
    ----------
    table, baseline : pd.DataFrame
        Per-frame rows of two runs on the same groups and frames.
    metric, confidence, resamples, seed
        As for `worst_frame`.

    Returns
    -------
    pd.DataFrame
        One row, index `metric` (`METRIC_worst_frame`). `difference`, `low`, `high`, `method`, `groups`, `n_undefined`,
        `note` as `compare` gives them. A worst frame is no group's own, hence neither `p` nor `effect`.

    Raises
    ------
    UserError
        If a group, or a frame of one, is not in both tables; and as for `worst_frame`.
    """
    sign, first, second = _sign(metric), _curves(table, metric), _curves(baseline, metric)
    cells = [set(frames[["group", "frame"]].itertuples(index=False, name=None)) for frames in (table, baseline)]
    unpaired = sorted(f"{group} frame {frame}" for group, frame in cells[0] ^ cells[1])
    if unpaired:
        raise UserError(
            f"worst frames are compared over the same groups and frames; not in both tables: {', '.join(unpaired[:5])}"
            f"{f' and {len(unpaired) - 5} more' if len(unpaired) > 5 else ''}. Evaluate both runs on the same data, "
            "from the same start"
        )
    known = first.notna().any(axis=1) & second.notna().any(axis=1)
    curves, others = first[known].to_numpy(), second[known].to_numpy()

    def difference(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return _worst(curves, counts, sign) - _worst(others, counts, sign)

    mean, low, high, method = _bootstrap(difference, curves.shape, confidence, resamples, seed)
    row = {
        "metric": f"{metric}_worst_frame",
        "difference": mean,
        "low": low,
        "high": high,
        "method": method,
        "groups": len(curves),
        "n_undefined": len(first) - len(curves),
        "note": note(len(curves)),
    }
    return pd.DataFrame([row]).set_index("metric")


def over_contrast(table: pd.DataFrame, metric: str = "dice", edges: Sequence[float] = CONTRAST_EDGES) -> pd.DataFrame:
    """Mean over groups of a metric in bins of contrast.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows.
    metric : str
        Column to average.
    edges : sequence of float
        Increasing. A bin holds its lower edge; the last one its upper edge as well.

    Returns
    -------
    pd.DataFrame
        Columns: `low`, `high`, the bin's edges; the metric's mean (NaN for none); `groups` and `frames` in the bin;
        `n_undefined` of these frames without a value of the metric. A row for each bin, from below the first edge
        (`low` = −inf) to above the last (`high` = inf), then one for frames of undefined contrast (both NaN).

    Raises
    ------
    UserError
        If edges do not increase or a column is missing.
    """
    limits = np.asarray(edges, dtype=np.float64)
    if len(limits) < 2 or not (np.diff(limits) > 0).all():
        raise UserError(f"edges={list(edges)} make no bins of contrast: give two or more that increase")
    _require(table, "contrast", metric)
    contrast = table["contrast"].to_numpy(np.float64)
    bins = np.digitize(contrast, limits)
    bins[contrast == limits[-1]] = len(limits) - 1
    bins[np.isnan(contrast)] = len(limits) + 1
    lows, highs = np.r_[-np.inf, limits, np.nan], np.r_[limits, np.inf, np.nan]
    rows = []
    for place, (low, high) in enumerate(zip(lows, highs, strict=True)):
        inside = table[bins == place]
        values = group_means(inside, [metric])[metric] if len(inside) else pd.Series(dtype=np.float64)
        counts = {"groups": values.count(), "frames": len(inside), "n_undefined": int(inside[metric].isna().sum())}
        rows.append({"low": low, "high": high, metric: values.mean(), **counts})
    return pd.DataFrame(rows)


def first_below(table: pd.DataFrame, level: float = 0.7) -> pd.DataFrame:
    """First frame of each video with a Dice below a level.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows.
    level : float
        In (0, 1].

    Returns
    -------
    pd.DataFrame
        One row per video (and seed, where the table has them): `group`, `video` and `first_below`, the frame index,
        float64; NaN where Dice never falls below the level.

    Raises
    ------
    UserError
        If the level is out of range or a column is missing.
    """
    if not 0 < level <= 1:
        raise UserError(f"level={level} is no Dice to fall below: give one above 0, at most 1")
    _require(table, "dice")
    keys = _video(table)
    fallen = table["frame"].where(table["dice"] < level).astype(np.float64)
    return table[keys].assign(first_below=fallen).groupby(keys, sort=True)["first_below"].min().reset_index()


def ever_below(
    table: pd.DataFrame, level: float = 0.7, *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Falls:
    """Share of videos that ever fall below a Dice, as a mean over groups, and the median first frame of those that do.

    Parameters
    ----------
    table, level
        As for `first_below`, as is what is raised.
    confidence, resamples, seed
        As for `summarise`.
    """
    videos = first_below(table, level)
    share = bootstrap_mean(_share_below(videos), confidence, resamples, seed)
    return Falls(share, float(videos["first_below"].median()))


def sequence_summary(
    table: pd.DataFrame, level: float = 0.7, *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> pd.DataFrame:
    """What `summarise` does not say of sequences, in its form, so that both can be put under each other.

    Parameters
    ----------
    table : pd.DataFrame
        Per-frame rows; with `dice_one_step`, the Dice of the same frame from the true mask of the frame before.
    level : float
        See `first_below`.
    confidence, resamples, seed
        As for `summarise`.

    Returns
    -------
    pd.DataFrame
        Index and columns as of `summarise`. Rows: `dice_first_frame` and `dice_last_frame` of each video,
        `dice_worst_frame` (see `worst_frame`), `ever_below_LEVEL`, the share of videos; where `dice_one_step` exists,
        this and `dice_drop`, one-step minus free-running, paired by group.

    Raises
    ------
    UserError
        If a column is missing or has gaps.
    """
    _require(table, "dice", "missed", "spurious")
    interval = partial(bootstrap_mean, confidence=confidence, resamples=resamples, seed=seed)
    keys = _video(table)
    videos = table.sort_values([*keys, "frame"]).groupby(keys, sort=True)
    first, last = videos.head(1), videos.tail(1)
    falls = ever_below(table, level, confidence=confidence, resamples=resamples, seed=seed)
    found: dict[str, tuple[Interval, pd.DataFrame]] = {
        "dice_first_frame": (interval(_means(first, "dice")), first),
        "dice_last_frame": (interval(_means(last, "dice")), last),
        "dice_worst_frame": (worst_frame(table, confidence=confidence, resamples=resamples, seed=seed), table),
        f"ever_below_{level:g}": (falls.share, table),
    }
    if "dice_one_step" in table:
        table = _with_drop(table)
        found |= {name: (interval(_means(table, name)), table) for name in ("dice_one_step", "dice_drop")}
    groups = table["group"].nunique()
    counts = {"groups": groups, "videos": len(table[["group", "video"]].drop_duplicates())}
    wrong = {"n_undefined": 0, "n_missed": int(table["missed"].sum()), "n_spurious": int(table["spurious"].sum())}
    rows = [
        {"metric": name, **values._asdict(), **counts, "frames": len(frames), **wrong, "note": note(groups)}
        for name, (values, frames) in found.items()
    ]
    return pd.DataFrame(rows).set_index("metric")


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
        Index `method`, in the order given. For each of `QUALITIES` (`dice_one_step` and `dice_drop` only where a table
        has them, NaN for methods without): `dice`, `dice_low`, `dice_high`, and the paired difference, reference minus
        this row, `dice_difference`, `dice_difference_low`, `dice_difference_high`. Then `reference`, its name;
        `groups`, `frames`; `n_missed` and `nc_error_undefined` frames, the latter left out of `nc_error`; `note`.

    Raises
    ------
    UserError
        If there is no such method, or a table lacks a column, a group or a frame.
    """
    if reference not in tables:
        raise UserError(f"no method {reference} to compare with; there are: {', '.join(tables) or 'none'}")
    tables = {name: _with_drop(table) if "dice_one_step" in table else table for name, table in tables.items()}
    rows = []
    for name, table in tables.items():
        try:
            qualities = _qualities(table, tables[reference], confidence, resamples, seed)
        except UserError as mistake:
            raise UserError(f"{reference} against {name}: {mistake}") from mistake
        groups = table["group"].nunique()
        counts = {"groups": groups, "frames": len(table), "n_missed": int(table["missed"].sum())}
        undefined = int(table["nc_error"].isna().sum())
        last = {"reference": reference, **counts, "nc_error_undefined": undefined, "note": note(groups)}
        rows.append({"method": name, **qualities, **last})
    result = pd.DataFrame(rows).set_index("method")
    ends = ("", "_low", "_high", "_difference", "_difference_low", "_difference_high")
    ordered = [f"{quality}{end}" for quality in QUALITIES for end in ends if quality in result]
    return result[[*ordered, *last]]


def _qualities(
    table: pd.DataFrame, reference: pd.DataFrame, confidence: float, resamples: int, seed: int
) -> dict[str, float]:
    """Columns of `comparison` for one method."""
    bootstrap: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}
    _require(table, "dice", "hd95", "nc_error", "missed")
    found = {metric: bootstrap_mean(_means(table, metric), **bootstrap) for metric in MEANS if metric in table}
    paired = {metric: compare(reference, table, metric, **bootstrap) for metric in found if metric in reference}
    found[WORST] = worst_frame(table, **bootstrap)
    paired[WORST] = compare_worst_frame(reference, table, **bootstrap)
    row: dict[str, float] = {}
    for metric, (mean, low, high, _) in found.items():
        row |= {metric: mean, f"{metric}_low": low, f"{metric}_high": high}
    for metric, table in paired.items():
        difference, low, high = table[["difference", "low", "high"]].iloc[0]
        row |= {f"{metric}_difference": difference, f"{metric}_difference_low": low, f"{metric}_difference_high": high}
    return row


def _bootstrap(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    shape: tuple[int, ...],
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    """Percentile interval of a statistic of how often each group was drawn, (R, G) → (R,); shape: G, F."""
    groups = shape[0]
    if groups == 0:
        return Interval(np.nan, np.nan, np.nan, "none")
    value = float(statistic(np.ones((1, groups)))[0])
    if groups < 3:
        return Interval(value, np.nan, np.nan, "none")
    rng, share = np.random.default_rng(seed), np.full(groups, 1 / groups)
    size = max(1, DRAWS_AT_ONCE // max(shape))
    parts = [min(size, resamples - done) for done in range(0, resamples, size)]
    drawn = np.concatenate([statistic(rng.multinomial(groups, share, part).astype(np.float64)) for part in parts])
    if np.abs(drawn - value).max() <= EQUAL:
        return Interval(value, value, value, "constant")
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), "percentile")


def _worst(curves: NDArray[np.float64], counts: NDArray[np.float64], sign: int) -> NDArray[np.float64]:
    """Worst over time of the means of curves (G, F), NaN where undefined, with each group counted so often (R, G)."""
    known = ~np.isnan(curves)
    total, weight = counts @ np.where(known, curves, 0.0), counts @ known.astype(np.float64)
    means = np.divide(sign * total, weight, out=np.full_like(total, np.inf), where=weight > 0)
    return sign * means.min(axis=1)


def _sign(metric: str) -> int:
    """1 where the smallest value is the worst, -1 where the largest is."""
    if metric in AGREEMENT:
        return 1
    if metric in METRICS:
        return -1
    raise UserError(f"no worst frame of {metric}: give one of {', '.join([*METRICS, 'dice_one_step'])}")


def _curves(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Each group's mean, seeds averaged, at each frame index: groups × frames, NaN where there is none."""
    _require(table, metric)
    frames = {frame: group_means(rows, [metric])[metric] for frame, rows in table.groupby("frame", sort=True)}
    return pd.DataFrame(frames).sort_index()


def _means(table: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    return group_means(table, [metric])[metric].dropna().to_numpy()


def _share_below(videos: pd.DataFrame) -> NDArray[np.float64]:
    """Each group's share of the rows of `first_below` that fall."""
    return _means(videos.assign(frame=0, fallen=videos["first_below"].notna().astype(np.float64)), "fallen")


def _with_drop(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(dice_drop=table["dice_one_step"] - table["dice"])


def _video(table: pd.DataFrame) -> list[str]:
    """What tells videos apart."""
    return [*(["seed"] if "seed" in table else []), "group", "video"]


def _require(table: pd.DataFrame, *columns: str) -> None:
    missing = [name for name in ("group", "video", "frame", *columns) if name not in table]
    if missing:
        raise UserError(f"the table of frames has no column {', '.join(missing)}; make it anew with lexy-evaluate")
    if table.empty:
        raise UserError("the table of frames is empty; make it anew with lexy-evaluate")
