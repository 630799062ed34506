"""Hyper-parameter search: jobs are trials that Optuna proposes, and Optuna is told what became of them."""

import math
import os
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from lexy.config.build import build
from lexy.config.check import check, resolved
from lexy.config.compose import composed
from lexy.errors import UserError
from lexy.files import fingerprint, held
from lexy.optuna_storage import cut_torn_line, storage_at, trial_id
from lexy.runs.identity import NOT_IDENTITY
from lexy.sweeps.command import Command
from lexy.sweeps.job_process import Outcome
from lexy.sweeps.jobs import LauncherError, job_launcher
from lexy.sweeps.plan import refuse_distributed

try:
    import optuna
except ImportError as error:
    raise UserError("a search (search=...) needs Optuna. Install it: pip install 'lexy[search]'") from error
from optuna.trial import FrozenTrial, TrialState

from lexy.sweeps.search_space import SHARED, Space, parse_overrides, search_space

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
Launch = Callable[[Sequence[Sequence[str]], int], list[Outcome]]


@dataclass
class SearchSettings:
    """Keys of the config's node `hydra.sweeper` in a search.

    Parameters
    ----------
    study_name : str
    storage : str
        Journal file; what is written at the end lies beside it.
    direction : str
    n_trials : int
        Completed or pruned, over all launches.
    n_jobs : int
        Proposed together and launched at once; -1: one on each core.
    seed : int
        Of the proposals: that of a trial is drawn from it and the trial's number.
    sampler : callable
        Given `seed`, makes an Optuna sampler.
    pruner : object or None
        An Optuna pruner, for `lexy.tasks.pruning.Pruning` in the jobs.
    space : dict
        See `lexy.sweeps.search_space.search_space`.
    """

    study_name: str
    storage: str
    direction: Literal["maximize", "minimize"]
    n_trials: Annotated[int, Ge(1)]
    n_jobs: Annotated[int, Ge(-1)]
    seed: Annotated[int, Ge(0)]
    sampler: Any
    pruner: Any
    space: dict[str, str]


TARGET = f"{SearchSettings.__module__}.{SearchSettings.__qualname__}"


def run_search(command: Command, arguments: Namespace) -> bool:
    """Check a search, then run the trials that are missing and report on all.

    Returns
    -------
    bool
        Whether no trial of this launch failed.

    Raises
    ------
    UserError
        A mistake in the space, in the settings of the search, or in the config of one of its trials; trials of
        another search in the storage; the launcher broke off.
    """
    settings, space, config = check_search(command, arguments)
    print(f"search of {settings.n_trials} trials over {', '.join(space.dimensions)}: {settings.storage}")
    if config.sweep.dry_run:
        return True
    with job_launcher(command, arguments) as launcher:
        return Search(settings, space, config, launcher.launch).run()


def check_search(command: Command, arguments: Namespace) -> tuple[SearchSettings, Space, DictConfig]:
    """Return the settings and the space of a search, and the config that its trials share.

    Every choice and both ends of every range are tried in the config of a trial, one at a time.

    Raises
    ------
    UserError
        As for `run_search`, before anything is run.
    """
    fixed = [item for item in parse_overrides(arguments.overrides) if not item.is_sweep_override()]
    of_hydra = [str(item.input_line) for item in fixed if item.is_hydra_override()]  # reach every job by themselves
    config, _ = composed(command.name, arguments, [str(item.input_line) for item in fixed])
    node: Any = OmegaConf.to_container(HydraConfig.get().sweeper, resolve=True)
    if node["_target_"] != TARGET:
        raise UserError(
            "search=...: that option chooses no search. It needs `override /hydra/sweeper: search` among its defaults, "
            "and no hydra.sweeper._target_."
        )
    check({"hydra.sweeper": node}, lambda **nodes: None)
    settings: SearchSettings = build(OmegaConf.create(node), "hydra.sweeper")
    space = search_space(settings.space, [item for item in arguments.overrides if item not in of_hydra])
    for overrides in space.corners():
        try:
            trial, _ = composed(command.name, arguments, [*of_hydra, *overrides])
            values = resolved(trial)
            check(values, command.schema)
            refuse_distributed(trial)
            reason = command.why_not(values)
        except UserError as mistake:
            reason = str(mistake)
        if reason is not None:
            raise UserError(f"{reason}\nin a trial of the search: {' '.join(overrides)}")
    return settings, space, config


class Search:
    """A study of Optuna whose trials are jobs. All that is known of them lies in its storage.

    Parameters
    ----------
    settings : SearchSettings
    space : Space
    config : DictConfig
        What the trials share, with its interpolations.
    launch : callable
        Takes the overrides of jobs and the number of the first; runs them and returns their outcomes.
    """

    def __init__(self, settings: SearchSettings, space: Space, config: DictConfig, launch: Launch) -> None:
        self.settings = settings
        self.space = space
        self.config = config
        self.launch = launch
        self.path = Path(settings.storage)
        self.failures: dict[int, str] = {}

    def run(self) -> bool:
        """Run the trials that are missing and report on all; return whether none of this launch failed.

        Raises
        ------
        UserError
            Trials of another search in the storage, or the launcher broke off.
        """
        from lexy.report.sweep.search import report

        self.path.parent.mkdir(parents=True, exist_ok=True)
        with held(self.path.parent):
            self._open_study()
            try:
                self._run_trials()
            finally:
                report(self.study, self.path.parent)
                self._print_failures()
        return not self.failures

    def _open_study(self) -> None:
        """Open the study, of these trials only: figures of other settings cannot be compared with theirs."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        cut_torn_line(self.path)
        self.storage = storage_at(self.path)
        name, direction = self.settings.study_name, self.settings.direction
        self.study = optuna.create_study(
            storage=self.storage, study_name=name, direction=direction, load_if_exists=True
        )
        shared: Any = OmegaConf.to_container(self.config, resolve=False)
        now = {
            "space": self.space.described(),
            "direction": direction,
            "overrides": [item for item in self.space.fixed if item.partition("=")[0].split(".")[0] not in SHARED],
            "settings": fingerprint({key: value for key, value in shared.items() if key not in NOT_IDENTITY}),
        }
        before = self.study.user_attrs or now
        for what in ("space", "direction", "settings"):
            if before[what] != now[what]:
                shown = "overrides" if what == "settings" else what
                old, new = _differences(before[shown], now[shown])
                raise UserError(
                    f"{self.path} holds trials of another {what.removesuffix('s')}: {old}; now {new}. "
                    "Go on with the old one, or give the search another name=..."
                )
        for key, value in now.items():
            self.study.set_user_attr(key, value)

    def _run_trials(self) -> None:
        """Go on with the trials that a killed search left, and propose as many more as are missing."""
        for trial in self.study.get_trials(states=[TrialState.RUNNING]):
            if trial.params.keys() != self.space.dimensions.keys():  # killed while it was being proposed
                self.study.tell(trial.number, state=TrialState.FAIL)
        self._run_together(self.study.get_trials(states=[TrialState.RUNNING]))
        missing = self.settings.n_trials - len(self.study.get_trials(states=ENDED)) - len(self.failures)
        n_jobs = self.settings.n_jobs
        at_once = len(os.sched_getaffinity(0)) if n_jobs == -1 else max(1, n_jobs)
        for first in range(0, missing, at_once):
            self._run_together([self._ask() for _ in range(min(at_once, missing - first))])

    def _ask(self) -> FrozenTrial:
        """Propose a trial: a function of the seed, its number and the trials before, so a stop changes nothing."""
        number = len(self.study.get_trials(deepcopy=False))
        seed = int(np.random.SeedSequence((self.settings.seed, number)).generate_state(1)[0])
        self.study.sampler = self.settings.sampler(seed=seed)
        self.study.ask(self.space.dimensions)
        return self.study.get_trials()[number]

    def _run_together(self, trials: Sequence[FrozenTrial]) -> None:
        for batch in batches(trials):
            jobs = [self.space.job(trial.params) for trial in batch]
            for trial, job in zip(batch, jobs, strict=True):
                self._note(trial.number, "overrides", job)
            try:
                outcomes = self.launch([[*job, *self._where()] for job in jobs], batch[0].number)
            except LauncherError as error:
                raise UserError(
                    f"the launcher broke off: {error}. The same command goes on with its trials."
                ) from error
            for trial, outcome in zip(batch, outcomes, strict=True):
                self._tell(trial.number, outcome)

    def _where(self) -> list[str]:
        """Return the overrides that tell a job's own process, in whichever folder it works, where its trial is kept."""
        values = {"storage": str(self.path.resolve()), "study_name": self.settings.study_name}
        return [f"hydra.sweeper.{key}={QuotedString(text, Quote.single).with_quotes()}" for key, text in values.items()]

    def _tell(self, number: int, outcome: Outcome) -> None:
        if self.study.get_trials(deepcopy=False)[number].state == TrialState.PRUNED:  # by the trial's own process
            return
        value = outcome.value
        if isinstance(value, int | float) and math.isfinite(value):
            self.study.tell(number, float(value))
            best = self.study.best_trial
            Console(highlight=False).print(f"trial {number}: {value:.4f} (best: {best.value:.4f}, trial {best.number})")
            return
        self.failures[number] = outcome.reason or (
            f"its figure is {value}" if outcome.state == "done" else outcome.state
        )
        self._note(number, "reason", self.failures[number])
        self.study.tell(number, state=TrialState.FAIL)

    def _note(self, number: int, key: str, value: Any) -> None:
        """Add an attribute to a trial in the storage; a finished `FrozenTrial` has no way to."""
        self.storage.set_trial_user_attr(trial_id(self.storage, self.settings.study_name, number), key, value)

    def _print_failures(self) -> None:
        for number, reason in self.failures.items():
            print(f"trial {number} failed: {(reason.splitlines() or ['no reason given'])[0]}")
        if self.failures:
            print("The same command proposes others in their place.")


def _differences(before: Any, now: Any) -> tuple[str, str]:
    """Return both as text; of spaces, the keys that are not the same."""
    if not isinstance(before, dict):
        return str(before), str(now)
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    old, new = (", ".join(f"{key}: {space.get(key, 'not searched')}" for key in keys) for space in (before, now))
    return old, new


def batches(trials: Sequence[FrozenTrial]) -> Iterator[list[FrozenTrial]]:
    """Group trials that can be launched together: numbered one after the other, as a launcher counts, and no two alike.

    Two alike would share a run's folder; one after the other, the second is given what the first has found.
    """
    batch: list[FrozenTrial] = []
    for trial in trials:
        follows = bool(batch) and trial.number == batch[-1].number + 1
        if batch and (not follows or any(trial.params == other.params for other in batch)):
            yield batch
            batch = []
        batch.append(trial)
    if batch:
        yield batch
