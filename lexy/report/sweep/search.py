"""What a search found: the best trial, a table of all, and which of the parameters mattered."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from lexy.files import replacing
from lexy.report.themes import LIGHT, png

if TYPE_CHECKING:
    from optuna import Study

SHOWN = 10
# Of a search, not of the training of one network.
OF_SEARCH = {"search", "launcher", "sweep", "callbacks", "name"}


def report(study: "Study", folder: Path) -> None:
    """Print the best trial and write `trials.csv` and `importance.png`.

    Parameters
    ----------
    study : optuna.Study
    folder : Path
        Of the search; the folders of the runs lie beside it.
    """
    from optuna.trial import TrialState

    console = Console(highlight=False, soft_wrap=True)
    trials = trial_table(study, folder.parent)
    with replacing(folder / "trials.csv") as temporary:
        trials.to_csv(temporary, index=False)
    _show(console, study, trials)
    if study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
        best = study.best_trial
        row = trials.set_index("trial").loc[best.number]
        console.print(f"\n[bold]best: trial {best.number}, {best.value:.4f}[/]")
        for key, value in best.params.items():
            console.print(f"  {key} = {value}", markup=False)
        if row["run"]:
            console.print(f"  in {folder.parent / row['run']}", markup=False)
        console.print(f"train it again:\n  {again(best.user_attrs['overrides'])}", markup=False)
    shares = importances(study)
    if isinstance(shares, str):
        (folder / "importance.png").unlink(missing_ok=True)
        console.print(f"no importances: {shares}", markup=False)
    else:
        with replacing(folder / "importance.png") as temporary:
            temporary.write_bytes(png(lambda: draw(shares, len(_values(study))), LIGHT))
    console.print(f"all trials: {folder / 'trials.csv'}", markup=False)


def trial_table(study: "Study", outputs: Path) -> pd.DataFrame:
    """Make a row for each trial: number, state, value, last reported epoch, run's folder, reason, parameters.

    `value` of a pruned trial is its last figure. `run` is the newest folder in `outputs` with these very overrides,
    empty if there is none.
    """
    runs = _runs(outputs)
    rows = []
    for trial in study.get_trials(deepcopy=False):
        facts = {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            "value": trial.value,
            "last_epoch": trial.last_step,
            "run": runs.get(frozenset(trial.user_attrs.get("overrides", ())), ""),
            "reason": trial.user_attrs.get("reason", ""),
        }
        rows.append(facts | trial.params)
    table = pd.DataFrame(rows)
    return table.astype({"last_epoch": "Int64", "value": float})


def _runs(outputs: Path) -> dict[frozenset[str], str]:
    """Overrides, as typed → name of the newest run's folder."""
    found = []
    for path in outputs.glob("*/status.json"):
        status = json.loads(path.read_text())
        if "overrides" in status:
            found.append((status.get("started") or "", path.parent.name, frozenset(status["overrides"])))
    return {overrides: name for _, name, overrides in sorted(found, key=lambda item: item[:2])}


def _show(console: Console, study: "Study", trials: pd.DataFrame) -> None:
    """The best trials, and how many there are of each state."""
    from optuna.study import StudyDirection

    descending = study.direction == StudyDirection.MAXIMIZE
    complete = trials[trials["state"] == "complete"]
    best = complete.sort_values("value", ascending=not descending, kind="stable").head(SHOWN)
    parameters = list(trials.columns[6:])
    table = Table(title="best trials")
    for name in ("trial", "value", *parameters):
        table.add_column(name, overflow="fold")
    for _, row in best.iterrows():
        table.add_row(str(row["trial"]), f"{row['value']:.4f}", *(_text(row[name]) for name in parameters))
    if len(best):
        console.print(table)
    counts = trials["state"].value_counts().sort_index()
    console.print("trials: " + ", ".join(f"{count} {state}" for state, count in counts.items()), markup=False)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def again(overrides: Sequence[str]) -> str:
    """Return the command that trains one network with the overrides of a trial."""
    kept = [item for item in overrides if item.split("=")[0].split(".")[0] not in OF_SEARCH]
    return shlex.join(["lexy-train", *kept])


def importances(study: "Study") -> dict[str, float] | str:
    """Compute the importance of each parameter over the completed trials (PED-ANOVA, deterministic).

    Returns
    -------
    dict or str
        Parameter → share in [0, 1], the largest first; they sum to 1.
    """
    import optuna

    values = _values(study)
    if len(values) < 2:
        return f"{len(values)} completed trial{'' if len(values) == 1 else 's'}; at least two are needed."
    if len(set(values)) == 1:
        return f"all completed trials have the same value, {values[0]:.4f}."
    return optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())


def _values(study: "Study") -> list[float]:
    from optuna.trial import TrialState

    return [trial.values[0] for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])]


def draw(shares: Mapping[str, float], trials: int) -> Figure:
    """Draw the importances as bars, the longest on top, with the number of trials."""
    figure = Figure(figsize=(6, 1.2 + 0.35 * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(list(shares), list(shares.values()))
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.1)
    axes.set_xlabel(f"importance (share, PED-ANOVA; {trials} completed trials)")
    return figure
