"""Measure what sweeps and reports cost in addition to the trainings.

    python scripts/sweep_speed.py job        # seconds of a job beyond its training, after the first
    python scripts/sweep_speed.py joblib     # two jobs of a minute at once against one after the other, one thread each
    python scripts/sweep_speed.py report     # lexy-report on 200 runs of 1,000 rows: seconds and size

On phantom data, in a temporary folder. Run it on an idle machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
TINY = ["data.fields=18", "data.size=64", "data.crop_size=32", "data.batch_size=8", "backbone.width=4"]
TINY += ["backbone.depth=2", "backbone.normalization=group", "trainer.enable_progress_bar=false", "logger=wandb"]
MINUTE = ["data.fields=20", "backbone.width=16", "backbone.normalization=group", "trainer.enable_progress_bar=false"]


def job(work: Path) -> None:
    """Measure the time from the end of one job to the end of the next, without its epochs."""
    _sweep(work, *TINY, "trainer.max_epochs=2", "seed=range(0,8)", "name=s")
    ends = sorted(path.stat().st_mtime for path in work.glob("outputs/multirun/*/[0-9]*.json"))
    logs = [pd.read_csv(path) for path in work.glob("outputs/s/*/metrics.csv")]
    training = sum(log["train/seconds"].sum() for log in logs) / len(logs)
    between = [after - before for before, after in pairwise(ends)]
    print(f"a job: {sum(between) / len(between):.2f} s, of which {training:.2f} s are epochs of training")


def joblib(work: Path) -> None:
    """Time the same four jobs with both launchers."""
    jobs = [*MINUTE, "trainer.max_epochs=20", "seed=range(0,4)"]
    serial = _sweep(work, *jobs, "name=one")
    both = _sweep(work, *jobs, "name=two", "launcher=joblib")
    print(f"4 jobs: {serial:.0f} s one after the other, {both:.0f} s two at once: {serial / both:.2f} ×")


def report(work: Path) -> None:
    """Time the report on generated runs."""
    sys.path.insert(0, str(ROOT / "tests" / "report" / "sweep"))
    from sweep_files import write_many  # type: ignore[import-not-found]

    write_many(work / "many", 200)
    begin = time.monotonic()
    subprocess.run([sys.executable, "-m", "lexy.cli.report", str(work / "many")], check=True, env=_environment())
    seconds = time.monotonic() - begin
    print(f"200 runs of 1,000 rows: {seconds:.1f} s, {(work / 'many/report/page.html').stat().st_size / 1e6:.2f} MB")


def _sweep(work: Path, *overrides: str) -> float:
    begin = time.monotonic()
    call = [sys.executable, "-m", "lexy.cli.train", "-m", *overrides]
    subprocess.run(call, check=True, cwd=work, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measures = {"job": job, "joblib": joblib, "report": report}
    parser.add_argument("what", choices=list(measures))
    with tempfile.TemporaryDirectory() as folder:
        measures[parser.parse_args().what](Path(folder))


if __name__ == "__main__":
    main()
