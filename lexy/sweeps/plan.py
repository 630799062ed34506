"""Plan a sweep: which of its jobs exist, and which are done already."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from lexy.config.check import check, resolved
from lexy.config.compose import composed, sweep_jobs
from lexy.config.hydra_internals import BASIC_SWEEPER
from lexy.errors import NoSuchKey, UserError
from lexy.sweeps.command import Command

# State of the last attempt at a job → what is planned for it.
PLANS = {
    "": "run",
    "failed": "run again",
    "pruned": "run again",
    "interrupted": "resume",
    "running": "leave: it is running",
    "done": "leave: it is done",
}


@dataclass
class Job:
    """A combination of a sweep.

    Attributes
    ----------
    overrides : list of str
    state : str
        What its last attempt came to: done, failed, pruned, interrupted, running; empty if there was none.
    skipped : str
        Why there is no such combination; empty if there is.
    commit : str
        Of the code that a finished job was made by.
    """

    overrides: list[str]
    state: str = ""
    skipped: str = ""
    commit: str = ""

    @property
    def launched(self) -> bool:
        """Whether the sweep runs it."""
        return not self.skipped and self.state not in ("done", "running")


def plan_sweep(command: Command, arguments: Namespace) -> list[Job]:
    """List every job of a sweep, its config checked.

    Raises
    ------
    UserError
        A mistake in any job. That a job lacks a key which another job of the sweep has is none: it does not exist.
    """
    listed: list[Job] = []
    lacking: list[NoSuchKey] = []
    known: set[str] = set()
    same: dict[tuple[str, ...], int] = {}
    for number, overrides in enumerate(sweep_jobs(arguments.overrides)):
        job = Job(overrides)
        listed.append(job)
        try:
            config, _ = composed(command.name, arguments, overrides)
            values = resolved(config)
            check(values, command.schema)
        except NoSuchKey as error:
            job.skipped = f"{error.key} is no key of this combination"
            lacking.append(error)
            continue
        known |= {_key(item) for item in overrides}
        refuse_other_sweepers()
        refuse_distributed(config)
        unused = command.unused_groups(values)
        first = same.setdefault(tuple(item for item in overrides if _key(item).split(".")[0] not in unused), number)
        job.skipped = command.why_not(values) or ""
        if first != number:
            job.skipped = f"{'; '.join(unused.values())}: the same as job {first}"
        if not job.skipped:
            status = command.last_status(config)
            job.state, job.commit = status.get("state", ""), str(status.get("commit") or "")
    for mistake in lacking:
        if mistake.key not in known:
            raise mistake
    return listed


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def refuse_other_sweepers() -> None:
    """Raise UserError for a sweeper of Hydra, or a setting of its own one, that the config composed last names."""
    sweeper = HydraConfig.get().sweeper
    if sweeper["_target_"] != BASIC_SWEEPER or sweeper.get("max_batch_size") or sweeper.get("params"):
        raise UserError(
            "hydra.sweeper: no other sweeper, max_batch_size or params is supported. Give sweeps on the command line."
        )


def refuse_distributed(config: DictConfig) -> None:
    """Raise UserError for several processes to a job where the launcher does not start them."""
    if config.sweep.own_process and str(config.get("trainer", {}).get("strategy")).startswith("ddp"):
        raise UserError(
            "trainer.strategy=ddp with -m: each of its processes would start the whole sweep again. Start the runs one "
            "at a time, or give launcher=submitit_slurm."
        )


def show_plan(plan: Sequence[Job], commit: str | None) -> None:
    """Print the jobs with what is planned for each, their count, and whether finished ones are of another commit."""
    console = Console(highlight=False)
    table = Table(title=f"sweep of {len(plan)} jobs")
    for column in ("", "job", "plan"):
        table.add_column(column)
    for number, (job, name) in enumerate(zip(plan, names(plan), strict=True)):
        table.add_row(str(number), name, f"skip: {job.skipped}" if job.skipped else PLANS[job.state])
    console.print(table)
    counts = {
        "to run": sum(job.launched for job in plan),
        "done already": sum(job.state == "done" for job in plan),
        "running": sum(job.state == "running" for job in plan),
        "skipped": sum(bool(job.skipped) for job in plan),
    }
    console.print(", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "to run"))
    others = sorted({job.commit for job in plan if job.state == "done" and job.commit != (commit or "")})
    if others:
        made = ", ".join(name[:12] or "unknown" for name in others)
        console.print(f"[bold]The finished jobs are of other code[/] ({made}; now {(commit or 'unknown')[:12]}).")


def names(plan: Sequence[Job]) -> list[str]:
    """Name each job by the overrides that not all of them share."""
    shared = set.intersection(*(set(job.overrides) for job in plan)) if len(plan) > 1 else set()
    return [" ".join(item for item in job.overrides if item not in shared) or "(no overrides)" for job in plan]
