"""Test how trainings and sweeps survive disturbances: kills at random moments, jobs that fail in six ways.

    python scripts/reliability.py kills --times 20    # ends like an undisturbed run, whatever was killed when
    python scripts/reliability.py failures            # 24 jobs, 6 of which fail: 18 results, 6 reasons
    python scripts/reliability.py memory              # 20 jobs of one sweep: memory of its process after each

On tiny phantom data; a line for each trial, and exit status 1 if anything was not as it should be.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

TINY = ["data.fields=18", "data.size=64", "data.crop_size=32", "data.batch_size=8", "backbone.width=4"]
TINY += ["backbone.depth=2", "backbone.normalization=group", "optimizer.lr=1e-2", "trainer.enable_progress_bar=false"]
TABLES = ("val_summary.csv", "test_summary.csv", "test_frames.parquet")
TIMES = ["train/clips_per_second", "train/seconds"]
TESTS = Path(__file__).resolve().parents[1] / "tests" / "sweeps"  # folder of the failing callback


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "failures", "memory"))
    parser.add_argument("--times", type=int, default=20, help="kills")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        tries = {
            "kills": lambda: kills(work, given.times),
            "failures": lambda: failures(work),
            "memory": lambda: memory(work),
        }
        sys.exit(0 if tries[given.what]() else 1)


def kills(work: Path, times: int) -> bool:
    """Kill and resume a training of 12 epochs at random moments, and compare it with an undisturbed one."""
    overrides = [*TINY, "trainer.max_epochs=12", "scheduler=cosine", "callbacks=[default,ema]", "resume=auto"]
    begin = time.monotonic()
    _train(work / "quiet", *overrides).wait()
    length, expected = time.monotonic() - begin, _run_folder(work / "quiet")
    rng, fine = random.Random(0), True
    for number in range(times):
        place = work / str(number)
        process = _train(place, *overrides)
        moment = rng.uniform(0.3, 1.0) * length
        time.sleep(moment)
        process.kill()
        process.wait()
        state = _status(place).get("state", "no run yet")
        ended = _train(place, *overrides).wait()
        same = ended == 0 and _equal(_run_folder(place), expected)
        print(f"kill {number}: after {moment:.1f} s ({state}): {'the same digits' if same else 'DIFFERS'}", flush=True)
        fine &= same
    return fine


def failures(work: Path) -> bool:
    """Run a sweep of 24 jobs, some of which fail."""
    fail = ["+callbacks.fail._target_=failing.Fail", "+callbacks.fail.number=range(0,24)"]
    call = ["-m", *TINY, "trainer.max_epochs=1", *fail, "sweep.time_limit=0.5", "name=s"]
    status = _train(work, *call).wait()
    newest = max((work / "outputs" / "multirun").iterdir())
    answers = [json.loads((newest / f"{number}.json").read_text()) for number in range(24)]
    for number, answer in enumerate(answers):
        print(f"job {number}: {answer['state']} {answer['reason'][:100]}")
    results = len(list((work / "outputs" / "s").glob("*/test_summary.csv")))
    reasons = sum(bool(answer["reason"]) for answer in answers)
    print(f"exit status {status}, {results} results, {reasons} reasons")
    return (status, results, reasons) == (1, 18, 6)


def memory(work: Path) -> bool:
    """Measure the resident memory of the sweep's process and of its largest job during the sweep."""
    process = _train(work, "-m", *TINY, "trainer.max_epochs=1", "seed=range(0,20)", "name=m")
    after: dict[int, float] = {}
    while process.poll() is None:
        done = len(list(work.glob("outputs/multirun/*/[0-9]*.json")))
        status = Path(f"/proc/{process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        if found is not None:
            after[done] = int(found[1]) / 1024
        time.sleep(0.2)
    peaks = [json.loads(path.read_text())["peak_memory_mb"] for path in work.glob("outputs/m/*/status.json")]
    print("the sweep's process after so many jobs, MB:", {done: round(size) for done, size in after.items()})
    print(f"peaks of the jobs, MB: {min(peaks):.0f} to {max(peaks):.0f}")
    return process.returncode == 0 and after[19] < after[1] + 20


def _train(work: Path, *overrides: str) -> "subprocess.Popen[bytes]":
    work.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parents[1])])}
    call = [sys.executable, "-m", "lexy.cli.train", *overrides]
    return subprocess.Popen(call, cwd=work, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _run_folder(work: Path) -> Path:
    (folder,) = (work / "outputs" / "runs").iterdir()
    return folder


def _status(work: Path) -> dict[str, str]:
    found = list(work.glob("outputs/runs/*/status.json"))
    return json.loads(found[0].read_text()) if found else {}


def _equal(one: Path, other: Path) -> bool:
    """Return whether two runs give the same metrics to the last digit."""
    logs = [pd.read_csv(folder / "metrics.csv").drop(columns=TIMES) for folder in (one, other)]
    return logs[0].equals(logs[1]) and all((one / name).read_bytes() == (other / name).read_bytes() for name in TABLES)


if __name__ == "__main__":
    main()
