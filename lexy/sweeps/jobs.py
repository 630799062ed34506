"""A sweep: its plan, its jobs each on its own, and a table of what became of them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from lexy.errors import UserError
from lexy.files import write_json
from lexy.sweeps.job_process import attempt, run_alone
from lexy.sweeps.plan import Job, names

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


def run_job(command: str, config: DictConfig) -> Any:
    """Run a job of a sweep, write down what became of it in the sweep's folder, and give what it returned.

    Nothing that a job does stops the others: its outcome is `NUMBER.json`.
    """
    hydra = HydraConfig.get()
    if config.sweep.own_process:
        outcome = run_alone(command, config, config.sweep.time_limit, config.sweep.jobs_at_once)
    else:
        outcome = attempt(command, config)
    facts = {"overrides": list(hydra.overrides.task), **outcome._asdict()}
    write_json(Path(hydra.sweep.dir) / f"{hydra.job.num}.json", facts)
    return outcome.value


class Results:
    """What became of the jobs of a plan.

    Parameters
    ----------
    plan : sequence of Job
    """

    def __init__(self, plan: Sequence[Job]) -> None:
        self.plan = plan
        self.folder: Path | None = None
        self.broken = ""

    @property
    def failed(self) -> bool:
        """Whether a job that was launched is not done."""
        return bool(self.broken) or any(state not in ENDED_WELL for _, state, _ in self.rows())

    def rows(self) -> list[tuple[str, str, str]]:
        """Name, state and reason of each job that was launched, in the order of the plan."""
        launched = [(job, name) for job, name in zip(self.plan, names(self.plan), strict=True) if job.launched]
        rows = []
        for number, (job, name) in enumerate(launched):
            path = self.folder / f"{number}.json" if self.folder is not None else None
            found = json.loads(path.read_text()) if path is not None and path.is_file() else {}
            state = found.get("state", "no answer")
            if state == "done" and job.state == "interrupted":
                state = "done, resumed"
            rows.append((name, state, found.get("reason", "")))
        return rows

    def show(self) -> None:
        """Print the table of jobs, and what stopped the whole sweep, if anything did."""
        console = Console(highlight=False)
        table = Table(title="what became of the jobs")
        for column in ("job", "state", "reason"):
            table.add_column(column)
        for name, state, reason in self.rows():
            table.add_row(name, state, reason.splitlines()[0] if reason else "")
        console.print(table)
        if self.broken:
            console.print(f"The launcher broke off: {self.broken}", markup=False)
        if self.failed:
            console.print("The same command runs what is not done again, and resumes what was interrupted.")


class PlannedSweeper(Sweeper):
    """Launches the jobs of a plan.

    Parameters
    ----------
    max_batch_size : None
        All are launched together.
    params : None
        Sweeps are given on the command line.

    Attributes
    ----------
    results : Results
        To be filled in. Of the class, for Hydra makes the sweeper, and a process has one sweep.
    """

    results: ClassVar[Results]

    def __init__(self, max_batch_size: None = None, params: None = None) -> None:
        if max_batch_size or params:
            raise UserError("hydra.sweeper.max_batch_size and params: not supported. Give sweeps on the command line.")

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See Hydra's `Sweeper`."""
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the jobs; what the launcher cannot stand is kept for the end."""
        assert self.config is not None
        assert self.launcher is not None
        self.results.folder = Path(self.config.hydra.sweep.dir)
        jobs = [job.overrides for job in self.results.plan if job.launched]
        try:
            self.launcher.launch(jobs, initial_job_idx=0)
        except Exception as error:
            self.results.broken = f"{type(error).__name__}: {error}"


def begin(plan: Sequence[Job]) -> Results:
    """The results to be of a plan, which Hydra will find the sweeper for."""
    PlannedSweeper.results = Results(plan)
    register("PlannedSweeper", PlannedSweeper)
    return PlannedSweeper.results


def register(name: str, make: Callable[..., Sweeper]) -> None:
    """Let Hydra find a sweeper as `hydra_plugins.lexy.NAME`: it takes none from outside of that package."""
    Plugins.instance().class_name_to_class[f"hydra_plugins.lexy.{name}"] = make  # type: ignore[assignment]
