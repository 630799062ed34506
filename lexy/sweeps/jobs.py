"""A sweep: plan its jobs, run each by Hydra's launcher, and print a table of what became of them."""

import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from lexy.config.compose import composed, initialise
from lexy.config.hydra_internals import multirun_launcher
from lexy.errors import UserError
from lexy.files import write_json
from lexy.runs.folder import is_leader
from lexy.runs.identity import commit
from lexy.sweeps.command import Command
from lexy.sweeps.job_process import Outcome, run_here, run_in_child
from lexy.sweeps.plan import Job, names, plan_sweep, show_plan

ENDED_WELL = {"done", "done, resumed", "pruned"}


@dataclass
class SweepConfig:
    """Keys of the config's node `sweep`.

    Parameters
    ----------
    dry_run : bool
        List the jobs and stop.
    time_limit : float or None
        Minutes that a job may take.
    own_process : bool
        Whether each job gets a child process; not where the launcher sees to that.
    jobs_at_once : int
        Between which the cores are divided; -1 is as many as there are cores, None does not divide them.
    """

    dry_run: bool
    time_limit: Annotated[float, Gt(0)] | None
    own_process: bool
    jobs_at_once: Annotated[int, Ge(-1)] | None

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class LauncherError(UserError):
    """Hydra's launcher itself broke off, whatever became of the jobs."""


def run_sweep(command: Command, arguments: Namespace) -> bool:
    """Plan a sweep, run its jobs and print what became of them.

    Returns
    -------
    bool
        Whether every job that was launched is done.

    Raises
    ------
    UserError
        A mistake in any job, before the first is run.
    """
    plan = plan_sweep(command, arguments)
    show_plan(plan, commit())
    launched = [job for job in plan if job.launched]
    if not launched or composed(command.name, arguments, launched[0].overrides)[0].sweep.dry_run:
        return True
    broken_off = ""
    with job_launcher(command, arguments) as launcher:
        try:
            outcomes = launcher.launch([job.overrides for job in launched])
        except LauncherError as error:
            broken_off, outcomes = str(error), [launcher.outcome(number) for number in range(len(launched))]
    return show_outcomes(plan, outcomes, broken_off)


class JobLauncher:
    """Run jobs by a launcher of Hydra.

    Parameters
    ----------
    launcher : Launcher
        Calls `run_job` for each.
    folder : Path
        Of the sweep, where `run_job` writes the outcomes.
    """

    def __init__(self, launcher: Launcher, folder: Path) -> None:
        self.launcher = launcher
        self.folder = folder

    def launch(self, jobs: Sequence[Sequence[str]], first: int = 0) -> list[Outcome]:
        """Run jobs and wait for them.

        Parameters
        ----------
        jobs : sequence of sequence of str
            The overrides of each.
        first : int
            Number of the first; the others follow.

        Raises
        ------
        LauncherError
        """
        try:
            returned = self.launcher.launch(jobs, initial_job_idx=first)
        except Exception as error:
            raise LauncherError(f"{type(error).__name__}: {error}") from error
        return [self.outcome(number, result) for number, result in enumerate(returned, first)]

    def outcome(self, number: int, returned: JobReturn | None = None) -> Outcome:
        """Return what became of a job: what it wrote, or else (on disks that are not shared) what Hydra `returned`."""
        path = self.folder / f"{number}.json"
        if path.is_file():
            written = json.loads(path.read_text())
            return Outcome(written["state"], written["reason"], written["value"])
        try:
            value = None if returned is None else returned.return_value  # raises what Hydra caught
        except Exception as error:
            return Outcome("failed", f"{type(error).__name__}: {error}")
        return Outcome("no answer") if value is None else Outcome("done", value=value)


@contextmanager
def job_launcher(command: Command, arguments: Namespace) -> Iterator[JobLauncher]:
    """Set up the launcher that the config chooses for jobs of a command."""
    function = partial(run_job, command.function, command.preload)
    GlobalHydra.instance().clear()
    try:
        hydra, name = initialise(command.name, arguments.config_dir), arguments.config_name or command.name
        with multirun_launcher(hydra, name, arguments.overrides, function) as (launcher, config):
            yield JobLauncher(launcher, Path(config.hydra.sweep.dir))
    except HydraException as error:
        raise UserError(str(error)) from error
    finally:
        GlobalHydra.instance().clear()


def run_job(function: str, preload: Sequence[str], config: DictConfig) -> Any:
    """Run a job of a sweep, write its outcome to `NUMBER.json` in the sweep's folder, and return its value.

    Nothing that a job does stops the others.

    Parameters
    ----------
    function, preload
        See `lexy.sweeps.command.Command`.
    config : DictConfig
        Of the job, with its interpolations, while Hydra runs it.
    """
    hydra = HydraConfig.get()
    if config.sweep.own_process:
        outcome = run_in_child(function, preload, config, config.sweep.time_limit, config.sweep.jobs_at_once)
    else:
        outcome = run_here(function, config)
    if is_leader():
        facts = {"overrides": list(hydra.overrides.task), **outcome._asdict()}
        write_json(Path(hydra.sweep.dir) / f"{hydra.job.num}.json", facts)
    return outcome.value


def show_outcomes(plan: Sequence[Job], outcomes: Sequence[Outcome], broken_off: str) -> bool:
    """Print the table of the jobs that were launched; return whether all are done.

    Parameters
    ----------
    plan : sequence of Job
    outcomes : sequence of Outcome
        Of the jobs of the plan that were launched, in its order.
    broken_off : str
        Error of the launcher; empty if there was none.
    """
    console = Console(highlight=False)
    table = Table(title="what became of the jobs")
    for column in ("job", "state", "reason"):
        table.add_column(column)
    launched = [(job, name) for job, name in zip(plan, names(plan), strict=True) if job.launched]
    states = []
    for (job, name), outcome in zip(launched, outcomes, strict=True):
        resumed = outcome.state == "done" and job.state == "interrupted"
        states.append("done, resumed" if resumed else outcome.state)
        table.add_row(name, states[-1], next(iter(outcome.reason.splitlines()), ""))
    console.print(table)
    if broken_off:
        console.print(f"The launcher broke off: {broken_off}", markup=False)
    all_done = not broken_off and ENDED_WELL.issuperset(states)
    if not all_done:
        console.print("The same command runs what is not done again, and resumes what was interrupted.")
    return all_done
