"""A running sweep shown in the terminal; only small files are read."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lexy.errors import UserError
from lexy.report.sweep.run_folders import KILLED, NOT_DONE, Run, find_runs

EVERY = 2.0  # seconds
REST = 20.0  # seconds: between two jobs of a sweep none is running
COLOURS = {
    "done": "green",
    "running": "cyan",
    "pruned": "yellow",
    "interrupted": "yellow",
    "failed": "red",
    KILLED: "red",
}
LINES = 12  # jobs that are running, and jobs without a result, at most


def watch(folders: Sequence[Path], console: Console | None = None, every: float = EVERY, rest: float = REST) -> None:
    """Show the runs below the folders until none is running, or Ctrl-C.

    Parameters
    ----------
    folders : sequence of Path
    console : Console, optional
    every, rest : float
        Seconds between two looks; and how long none may be running before this ends.

    Raises
    ------
    UserError
        As `find_runs`.
    """
    runs, busy = find_runs(folders), time.monotonic()
    seen = False
    with Live(view(runs), console=console, auto_refresh=False) as live:
        while True:
            live.update(view(runs), refresh=True)
            if any(run.state == "running" for run in runs):
                seen, busy = True, time.monotonic()
            elif not seen or time.monotonic() - busy > rest:
                return
            time.sleep(every)
            runs = find_runs(folders)


def view(runs: Sequence[Run]) -> Group:
    """Show states, progress, the best run so far, and failures with their reasons."""
    states = Counter(run.state for run in runs)
    parts = [Text(f"{count} {state}", style=COLOURS.get(state, "")) for state, count in sorted(states.items())]
    head = Text(f"{len(runs)} runs: ").append_text(Text(", ").join(parts))
    known = [(float(dice), run) for run in runs if (dice := best_dice(run)) is not None]
    best = max(known, key=lambda pair: pair[0], default=None)
    line = Text(
        f"best validation Dice so far: {best[0]:.3f}  {best[1].name} ({best[1].state})"
        if best
        else "no validation Dice yet"
    )
    running = [run for run in runs if run.state == "running"]
    wrong = [run for run in runs if run.state not in ("running", "done")]
    return Group(head, line, *(_progress(running) if running else []), *(_failures(wrong) if wrong else []))


def best_dice(run: Run) -> float | None:
    """Return the best validation Dice, from the status, or from `metrics.csv` while the run is going on."""
    given = run.status.get("best_val_dice")
    if given is not None:
        return float(given)
    return max((epoch["val/dice"] for epoch in run.epochs() if "val/dice" in epoch), default=None)


def reached(run: Run) -> tuple[int, int | None]:
    """Return the epochs done and the epochs planned (None where unknown)."""
    epochs = run.epochs()
    done = int(epochs[-1].get("epoch", -1)) + 1 if epochs else 0
    most = run.status.get("max_epochs")
    if most is None:
        try:
            most = (run.config().get("trainer") or {}).get("max_epochs")
        except UserError:  # just being written
            most = None
    return done, int(most) if most is not None and int(most) > 0 else None


def _progress(running: Sequence[Run]) -> Iterator[Table | Text]:
    table = Table(box=None, pad_edge=False)
    for name in ("running", "epoch", "", "best val Dice"):
        table.add_column(name, overflow="fold")
    for run in running[:LINES]:
        done, most = reached(run)
        bar = ProgressBar(total=most, completed=done, width=20) if most else Text("")
        dice = best_dice(run)
        table.add_row(
            Text(run.name), f"{done} of {most}" if most else str(done), bar, "–" if dice is None else f"{dice:.3f}"
        )
    yield table
    if len(running) > LINES:
        yield Text(f"... and {len(running) - LINES} more")


def _failures(wrong: Sequence[Run]) -> Iterator[Table | Text]:
    table = Table(box=None, pad_edge=False)
    for name in ("without a result", "state", "reason"):
        table.add_column(name, overflow="fold")
    for run in wrong[-LINES:]:
        reason = run.reason or NOT_DONE.get(run.state, "no reason was written down")
        table.add_row(Text(run.name), Text(run.state, style=COLOURS.get(run.state, "")), Text(reason))
    yield table
    if len(wrong) > LINES:
        yield Text(f"... and {len(wrong) - LINES} more")
