"""The parts of a report's page: one comparison with its tables and pictures, and the jobs."""

from collections.abc import Mapping, Sequence

import numpy as np

from lexy.evaluation.metrics import Metric, metric
from lexy.report import html
from lexy.report.sortable import Cell, Line, number, sortable
from lexy.report.sweep.figures import Pictures, figures, strips
from lexy.report.sweep.grouping import Comparison, Row
from lexy.report.sweep.published import COLUMNS, beside_published
from lexy.report.sweep.run_folders import Run
from lexy.report.sweep.tables import cells, p_value, records, shown_metrics
from lexy.report.sweep.variation import class_name

DRAWN_TABLES = 12  # comparisons with pictures


def comparison_section(comparison: Comparison, pictures: Pictures, note: str, *, drawn: bool) -> str:
    """Write the section of one comparison."""
    parts = [
        f'<p class="note">{html.text(note)}</p>' if note else "",
        _varied(comparison),
        "<h3>Every metric</h3>",
        _metrics(comparison),
        _differences(comparison),
        *([figures(comparison, pictures), strips(comparison, pictures)] if drawn else []),
        _published(comparison),
        _cost(comparison),
    ]
    return html.section(comparison.title, "".join(parts))


def jobs_section(runs: Sequence[Run], replaced: Mapping[str, str], broken: Mapping[str, str]) -> str:
    """Write the table of all jobs; those that are not done first, with the reason."""
    lines = []
    for run in sorted(runs, key=lambda run: (run.state == "done" and str(run.folder) not in broken, str(run.folder))):
        path = str(run.folder)
        state = "unreadable" if path in broken else "replaced" if path in replaced else run.state
        reason = broken.get(path) or (f"by the newer {replaced[path]}" if path in replaced else run.reason)
        epochs, most = run.status.get("epochs"), run.status.get("max_epochs")
        reached = "–" if epochs is None else f"{epochs} of {most}" if most else f"{epochs}"
        cells = [
            Cell(f"{run.folder.parent.name}/{run.name}"),
            Cell(state),
            Cell(reason),
            number(run.attempt, str(run.attempt)),
        ]
        dice = run.status.get("best_val_dice")
        cells += [number(epochs, reached), number(dice, f"{dice:.3f}" if dice is not None else "")]
        commit = str(run.status.get("commit") or "–")
        lines.append(Line([*cells, Cell(commit[:8] + ("-dirty" if commit.endswith("-dirty") else ""))]))
    header = ["run", "state", "reason", "attempt", "epochs", "best val Dice", "commit"]
    return html.section("Jobs", sortable(header, lines, "jobs"))


def _varied(comparison: Comparison) -> str:
    """List the settings that vary between the rows with their values, and the main parts that all rows share."""
    keys = dict.fromkeys(key for row in comparison.networks for key in row.varied)
    rows = [[key, ", ".join(dict.fromkeys(row.varied.get(key, "–") for row in comparison.networks))] for key in keys]
    table = f'<h3>What varied</h3><div class="settings">{html.table(["setting", "values"], rows)}</div>' if rows else ""
    config = comparison.networks[0].runs[0].config
    shared = {part: class_name(config.get(part)) for part in ("model", "backbone", "loss", "training", "optimizer")}
    told = ", ".join(f"{part} {name}" for part, name in shared.items() if name and part not in keys)
    return table + (f'<p class="note">In every row: {html.text(told)}.</p>' if told else "")


def _metrics(comparison: Comparison) -> str:
    metrics, of = shown_metrics(comparison), cells(comparison)
    lines = []
    for row in comparison.rows:
        repeats = (
            f"{row.seeds} seed{'s' if row.seeds > 1 else ''}, {len(row.runs)} run{'s' if len(row.runs) > 1 else ''}"
        )
        below = "; ".join([repeats if row.runs else "baseline", *row.notes])
        missed = int(row.frames["missed"].sum())
        values = [_value(of.get((row.name, each.name)), each) for each in metrics]
        counts = number(missed, f"{missed:,}", f"of {len(row.frames):,}")
        val = number(row.best_val_dice, f"{row.best_val_dice:.3f}")
        lines.append(Line([Cell(row.name, None, below), *values, counts, val], _row_kind(comparison, row)))
    header = ["row", *(each.title for each in metrics), "frames missed", "validation Dice"]
    return sortable(header, lines, "rows")


def _differences(comparison: Comparison) -> str:
    table = comparison.differences
    if table.empty:
        return ""
    lines = []
    for one in records(table):
        of, low, high = metric(one["metric"]), one["low"], one["high"]
        interval = f"{of.text(low, '+')} to {of.text(high, '+')}" if np.isfinite(low) else "no interval"
        unpaired = f", {one['n_unpaired']} left out" if one["n_unpaired"] else ""
        cells = [
            number(one["difference"], of.text(one["difference"], "+"), f"{interval}, n={one['groups']}{unpaired}"),
            number(one["effect"], f"{one['effect']:+.2f}"),
            number(one["p"], p_value(one["p"])),
            number(one["p_holm"], p_value(one["p_holm"]), f"of {one['comparisons']}"),
            number(one["groups"], str(one["groups"])),
        ]
        lines.append(Line([Cell(one["row"]), Cell(of.title), *cells]))
    header = ["row", "metric", "row minus reference", "effect", "p", "p, Holm", "groups"]
    text = (
        f"Reference: {comparison.reference}. Paired by group; Wilcoxon signed-rank test; effect: matched-pairs "
        "rank-biserial correlation; p corrected by Holm for all comparisons of a metric with the reference. A worst "
        "frame is no group's own, so it has an interval alone."
    )
    return f'<h3>Paired differences</h3><p class="note">{html.text(text)}</p>{sortable(header, lines, "differences")}'


def _published(comparison: Comparison) -> str:
    pairs = beside_published(comparison)
    if not pairs:
        return ""
    lines = []
    for pair in pairs:
        for who, units, figures_ in (("here", pair.units, pair.ours), ("study", pair.study_units, pair.theirs)):
            values = [_mean_sd(*figures_[name], 1 if "hausdorff" in name else 3) for name in COLUMNS]
            count = number(units, f"{units:,}") if units else Cell("–", np.nan)
            mark = f"≠ {'; '.join(pair.differs)}" if who == "here" and pair.differs else ""
            title = Cell(pair.row, None, "here") if who == "here" else Cell(pair.row, None, f"published: {pair.study}")
            lines.append(Line([title, Cell(who), *values, count, Cell(mark)], "" if who == "here" else "baseline"))
    header = [
        "row",
        "whose",
        "Dice",
        "sensitivity",
        "specificity",
        "Hausdorff (Canny), px",
        "crops or videos",
        "protocol differs",
    ]
    text = (
        "Mean ± s.d. as the study averages: over all crops of stills; within each video, then over videos; non-finite "
        "distances dropped. These are not the means above, and ≠ marks every known difference of the protocol."
    )
    return (
        f'<h3>Beside the published figures</h3><p class="note">{html.text(text)}</p>{sortable(header, lines, "rows")}'
    )


def _cost(comparison: Comparison) -> str:
    lines = []
    for row in comparison.networks:
        seconds = _mean([one.run.status.get("seconds") for one in row.runs])
        epochs = [one.run.epochs() for one in row.runs]
        training = _mean([sum(e.get("train/seconds", 0.0) for e in several) or None for several in epochs])
        memory = _mean([one.run.status.get("peak_memory_mb") for one in row.runs])
        parameters = _mean([one.run.status.get("parameters") for one in row.runs])
        count = _mean([one.run.status.get("epochs") or len(e) or None for one, e in zip(row.runs, epochs, strict=True)])
        lines.append(
            Line(
                [
                    Cell(row.name),
                    number(len(row.runs), str(len(row.runs))),
                    *(number(value, f"{value:,.0f}") for value in (seconds, training, memory, parameters)),
                    number(count, f"{count:g}"),
                ]
            )
        )
    header = ["row", "runs", "seconds of a job", "of them training", "peak memory, MB", "parameters", "epochs"]
    text = "Means over the runs of a row; peak memory is that of the process."
    return f'<h3>Cost of training</h3><p class="note">{text}</p>{sortable(header, lines, "rows")}'


def _value(found: tuple[float, float, float, int] | None, metric: Metric) -> Cell:
    if found is None or np.isnan(found[0]):
        return Cell("–", np.nan)
    mean, low, high, groups = found
    interval = f"{metric.text(low)}–{metric.text(high)}, " if np.isfinite(low) else ""
    return Cell(metric.text(mean), mean, f"{interval}n={groups}")


def _mean_sd(mean: float, sd: float, decimals: int) -> Cell:
    return number(mean, f"{mean:.{decimals}f} ± {sd:.{decimals}f}")


def _row_kind(comparison: Comparison, row: Row) -> str:
    return "reference" if row.name == comparison.reference else "" if row.runs else "baseline"


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else np.nan
