"""The same sweeps on a real Slurm: they run, are pre-empted, and go on."""

import json
import os
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from cli_runs import TINY, command, environment, run_forked
from slurm_node import missing, queued, slurm

HERE = Path(__file__).parent
ARGUMENTS = [
    *TINY,
    "trainer.max_epochs=6",
    "+callbacks.slow._target_=failing.Slow",
    "+callbacks.slow.seconds=1",
]
SLURM = [
    "launcher=submitit_slurm",
    "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.mem_gb=2",
    "hydra.launcher.timeout_min=10",
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"no Slurm: {missing()}"),
    pytest.mark.xdist_group("slurm"),
]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with slurm(tmp_path_factory.mktemp("slurm")) as variables:
        yield variables | environment(PYTHONPATH=f"{os.getcwd()}:{HERE}", PATH=variables["PATH"])


def folder_of(work: Path, seed: int) -> Path | None:
    found = work.glob("outputs/c/*/resolved.yaml")
    return next((path.parent for path in found if yaml.safe_load(path.read_text())["seed"] == seed), None)


def epochs(work: Path, seed: int) -> list[int]:
    folder = folder_of(work, seed)
    log = folder / "metrics.csv" if folder is not None else None
    return pd.read_csv(log)["epoch"].tolist() if log is not None and log.exists() else []


def until(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def preempt(node: dict[str, str], work: Path) -> None:
    """Once a job is under way, stop it as a scheduler would, and see that it waits to go on."""
    until(lambda: len(epochs(work, 0)) >= 2)
    first = min(queued(node))
    subprocess.run(["scancel", "--signal=USR2", first], env=node, check=True)
    until(lambda: queued(node).get(first) == "PENDING")
    status = json.loads((folder_of(work, 0) / "status.json").read_text())
    assert status["state"] == "interrupted"
    assert len(epochs(work, 0)) < 6
    subprocess.run(["scontrol", "update", f"jobid={first}", "StartTime=now"], env=node, check=True)


def test_a_job_that_is_preempted_goes_on_where_it_was(node, tmp_path):
    call = command("train", "-m", *ARGUMENTS, *SLURM, "name=c", "seed=0,1")
    with subprocess.Popen(call, cwd=tmp_path, env=node, stdout=subprocess.PIPE, text=True) as sweep:
        try:
            preempt(node, tmp_path)
            printed = sweep.communicate(timeout=200)[0]
        finally:
            sweep.kill()
    assert sweep.returncode == 0, printed
    assert epochs(tmp_path, 0) == epochs(tmp_path, 1) == list(range(6))
    assert len(list(tmp_path.glob("outputs/c/*/status.json"))) == 2  # it went on in its own folder
    alone = run_forked(tmp_path, "train", *ARGUMENTS, "name=alone", PYTHONPATH=node["PYTHONPATH"])
    assert alone.returncode == 0, alone.stderr
    (undisturbed,) = (tmp_path / "outputs" / "alone").iterdir()
    for name in ("val_summary.csv", "test_summary.csv", "test_frames.parquet"):
        assert (folder_of(tmp_path, 0) / name).read_bytes() == (undisturbed / name).read_bytes()


def test_two_processes_of_a_job_train_one_network(node, tmp_path):
    both = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "hydra.launcher.tasks_per_node=2"]
    call = command("train", "-m", *TINY, *both, *SLURM, "name=c", "seed=0")
    done = subprocess.run(call, cwd=tmp_path, env=node, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (tmp_path / "outputs" / "c").iterdir()
    assert json.loads((folder / "status.json").read_text())["state"] == "done"
    assert pd.read_csv(folder / "metrics.csv")["epoch"].tolist() == [0, 1, 2]
