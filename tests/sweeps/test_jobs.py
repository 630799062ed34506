"""Sweeps: what is planned, what becomes of each job, and what the next launch does."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from cli_runs import TINY, command, environment, run, run_forked
from hydra.core.utils import JobReturn, JobStatus

from lexy.runs.folder import current_status
from lexy.sweeps.job_process import Outcome
from lexy.sweeps.jobs import JobLauncher, LauncherError, show_outcomes
from lexy.sweeps.plan import Job

HERE = Path(__file__).parent
SHORT = [*TINY, "trainer.max_epochs=1"]
FAILING = ["+callbacks.fail._target_=failing.Fail", "+callbacks.fail.number=range(0,8)", "logger=wandb"]
REASONS = {
    1: ("failed", "RuntimeError: the network took a wrong turn"),
    2: ("failed", "RuntimeError"),  # torch's own words: the memory ran out
    3: ("interrupted", "killed (SIGKILL)"),
    4: ("interrupted", "exit status 7"),
    5: ("interrupted", "took longer than sweep.time_limit="),
    6: ("interrupted", "stopped from outside"),
}


def statuses(work: Path, name: str) -> list[dict]:
    return [json.loads(path.read_text()) for path in (work / "outputs" / name).glob("*/status.json")]


def answers(work: Path) -> dict[int, dict]:
    newest = max((work / "outputs" / "multirun").iterdir())
    return {int(path.stem): json.loads(path.read_text()) for path in newest.glob("[0-9]*.json")}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    work = tmp_path_factory.mktemp("failing")
    done = run(
        work, "train", "-m", *SHORT, *FAILING, "name=s", "sweep.time_limit=0.4", PYTHONPATH=f"{os.getcwd()}:{HERE}"
    )
    return work, done


@pytest.mark.slow
@pytest.mark.xdist_group("failing")
class TestAJobThatFails:
    def test_stops_no_other_and_is_named_with_its_reason(self, swept):
        work, done = swept
        assert done.returncode == 1, done.stderr
        found = answers(work)
        assert {number for number, answer in found.items() if answer["state"] == "done"} == {0, 7}
        for number, (state, reason) in REASONS.items():
            assert found[number]["state"] == state, found[number]
            assert reason in found[number]["reason"]
            assert reason.split(":")[0] in done.stdout

    def test_leaves_its_own_status_and_log(self, swept):
        work, _ = swept
        by_number = {}
        for folder in (work / "outputs" / "s").iterdir():
            status = json.loads((folder / "status.json").read_text())
            by_number[int(status["overrides"][-4].partition("=")[2])] = folder, status
        assert len(by_number) == 8
        for number, (folder, status) in by_number.items():
            expected = "running" if number in (3, 4) else REASONS.get(number, ("done", ""))[0]  # no time to say more
            assert status["state"] == expected
            assert (folder / "run.log").exists()
        assert "wrong turn" in (by_number[1][0] / "run.log").read_text()

    def test_the_next_launch_leaves_what_is_done_and_runs_the_rest(self, swept):
        work, _ = swept
        where = {"PYTHONPATH": f"{os.getcwd()}:{HERE}"}
        listed = run_forked(work, "train", "-m", *SHORT, *FAILING, "name=s", "sweep.dry_run=true", **where)
        assert listed.returncode == 0, listed.stderr
        assert "6 to run, 2 done already" in listed.stdout
        assert listed.stdout.count("run again") == 2
        assert listed.stdout.count("resume") == 4
        assert len(statuses(work, "s")) == 8  # a list makes nothing
        # Failed jobs run again in a folder of their own; interrupted ones go on in theirs, where they fail no more.
        again = run_forked(work, "train", "-m", *SHORT, *FAILING, "name=s", "sweep.time_limit=0.4", **where)
        assert again.returncode == 1
        assert {answer["state"] for answer in answers(work).values()} == {"done", "failed"}
        assert "done, resumed" in again.stdout
        assert len(statuses(work, "s")) == 10
        attempts = [status for status in statuses(work, "s") if status["attempt"] == 2]
        assert len(attempts) == 2
        ids = [status["run_id"] for status in statuses(work, "s")]
        assert len(set(ids)) == len(ids)


def test_combinations_that_do_not_exist_are_named_and_not_run(tmp_path):
    axes = ["model=unet,tracknet", "training=stills,unrolled", "start=perturbed,truth", "model.feedback=soft"]
    done = run_forked(tmp_path, "train", "-m", *SHORT, *axes, "sweep.dry_run=true")
    assert done.returncode == 0, done.stderr
    assert "sweep of 8 jobs" in done.stdout
    assert "1 to run, 7 skipped" in done.stdout
    assert done.stdout.count("model.feedback is no key of this combination") == 4
    assert done.stdout.count("start=truth gives away the mask") == 1
    assert done.stdout.count("training: Unrolled needs clips of several frames") == 2
    assert not (tmp_path / "outputs").exists()


def test_a_second_start_of_a_network_without_mask_is_the_same_job(tmp_path):
    done = run_forked(
        tmp_path, "train", "-m", *SHORT, "model=unet,tracknet", "start=perturbed,unet", "sweep.dry_run=true"
    )
    assert "UNet carries no mask, so it has no start: the same as job 0" in done.stdout
    assert "3 to run, 1 skipped" in done.stdout


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (["model=unet,trackne"], "trackne"),
        (["model=unet,tracknet", "model.fedback=soft"], "model.fedback is not a key"),
        (["seed=0,-1"], "seed=-1"),
        (["sweep.time_limit=0"], "sweep"),
        (["sweep.dryrun=true"], "dry_run"),
    ],
)
def test_mistakes_in_any_job_end_the_sweep_before_it_begins(tmp_path, axes, words):
    done = run_forked(tmp_path, "train", "-m", *SHORT, *axes)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_two_sweeps_of_the_same_second_share_no_folder(tmp_path):
    call = command("train", "-m", *SHORT, "name=twin", "seed=0,1")
    twins = [
        subprocess.Popen(
            call, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(2)
    ]
    printed = [twin.communicate(timeout=200)[0] for twin in twins]
    found = statuses(tmp_path, "twin")
    assert len(found) >= 2, printed
    assert {status["state"] for status in found} == {"done"}, printed
    assert len({status["run_id"] for status in found}) == len(found)
    assert len(list((tmp_path / "outputs" / "multirun").iterdir())) == 2


@pytest.mark.slow
def test_a_killed_sweep_takes_its_job_with_it_and_is_resumed(tmp_path):
    slow = ["+callbacks.slow._target_=failing.Slow", "+callbacks.slow.seconds=0.5", "trainer.max_epochs=4"]
    call = command("train", "-m", *TINY, *slow, "name=k", "seed=0,1")
    where = {"PYTHONPATH": f"{os.getcwd()}:{HERE}"}
    sweep = subprocess.Popen(call, cwd=tmp_path, env=environment(**where), stdout=subprocess.DEVNULL)
    wait_for(lambda: any(path.read_text().count("\n") > 2 for path in tmp_path.glob("outputs/k/*/metrics.csv")))
    sweep.kill()
    sweep.wait()
    (folder,) = (tmp_path / "outputs" / "k").iterdir()
    wait_for(lambda: current_status(folder)["state"] == "interrupted")
    again = run_forked(tmp_path, "train", "-m", *TINY, *slow, "name=k", "seed=0,1", **where)
    assert again.returncode == 0, again.stderr
    assert "done, resumed" in again.stdout
    assert [status["state"] for status in statuses(tmp_path, "k")] == ["done", "done"]


@pytest.mark.slow
def test_jobs_side_by_side_share_the_cores(tmp_path):
    done = run(tmp_path, "train", "-m", *SHORT, "launcher=joblib", "name=j", "seed=0,1", OMP_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr
    assert {status["state"] for status in statuses(tmp_path, "j")} == {"done"}


class Hydras:
    """A launcher of Hydra's whose jobs are done already, or that breaks off."""

    def __init__(self, returned):
        self.returned = returned

    def launch(self, jobs, initial_job_idx):
        if isinstance(self.returned, Exception):
            raise self.returned
        return self.returned


def test_an_outcome_is_what_the_job_wrote_or_else_the_error_that_hydra_returned(tmp_path, capsys):
    written = Outcome("interrupted", "took too long", None)
    (tmp_path / "4.json").write_text(json.dumps(written._asdict()))
    failed = JobReturn(overrides=["a=1"], status=JobStatus.FAILED)
    failed.return_value = OSError("no space")
    done = JobReturn(status=JobStatus.COMPLETED)
    done.return_value = None
    outcomes = JobLauncher(Hydras([done, failed, done]), tmp_path).launch([[], [], []], first=4)
    assert outcomes == [written, Outcome("failed", "OSError: no space"), Outcome("no answer")]


def test_a_launcher_that_breaks_off_is_told_beside_what_its_jobs_wrote(tmp_path, capsys):
    launcher = JobLauncher(Hydras(RuntimeError("no queue")), tmp_path)
    with pytest.raises(LauncherError, match="RuntimeError: no queue"):
        launcher.launch([[], []])
    (tmp_path / "0.json").write_text(json.dumps(Outcome("done", value=0.5)._asdict()))
    plan = [Job(["a=1"], state="interrupted"), Job(["a=2"]), Job(["a=3"], skipped="no such thing")]
    outcomes = [launcher.outcome(number) for number in range(2)]
    assert outcomes == [Outcome("done", "", 0.5), Outcome("no answer")]
    assert not show_outcomes(plan, outcomes, "RuntimeError: no queue")
    shown = capsys.readouterr().out
    assert "done, resumed" in shown
    assert "The launcher broke off: RuntimeError: no queue" in shown
    assert "a=3" not in shown


@pytest.mark.parametrize("states", [["done", "pruned"], ["done", "failed"], ["done", "interrupted"]])
def test_a_sweep_ends_well_if_every_job_is_done_or_pruned(states, capsys):
    plan = [Job([f"a={number}"]) for number in range(2)]
    assert show_outcomes(plan, [Outcome(state) for state in states], "") == (states[1] == "pruned")


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
