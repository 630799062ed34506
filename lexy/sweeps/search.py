"""Hyper-parameter search: a sweep whose jobs are trials that Optuna proposes."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from lexy.config.check import check, resolved
from lexy.config.compose import composed
from lexy.errors import UserError
from lexy.files import fingerprint, held
from lexy.optuna_storage import cut_torn_line, storage_at, trial_id
from lexy.runs.identity import NOT_IDENTITY
from lexy.sweeps.jobs import register
from lexy.sweeps.plan import Combinations, refuse_distributed

try:
    import optuna
except ImportError as error:
    raise UserError("a search (search=...) needs Optuna. Install it: pip install 'lexy[search]'") from error
from optuna.trial import FrozenTrial, TrialState

from lexy.sweeps.search_space import SHARED, parsed, space

TARGET = "hydra_plugins.lexy.OptunaSweeper"
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class Search:
    """What became of a search, for the command that ran it.

    Attributes
    ----------
    failures : dict
        Number of a trial that failed in this launch → reason.
    error : UserError or None
        What ended the search.
    """

    def __init__(self) -> None:
        self.failures: dict[int, str] = {}
        self.error: UserError | None = None

    @property
    def failed(self) -> bool:
        """Whether a trial of this launch failed."""
        return bool(self.failures)

    def show(self) -> None:
        """Print which trials failed and why; raise what ended the search, if anything did."""
        for number, reason in self.failures.items():
            print(f"trial {number} failed: {(reason.splitlines() or ['no reason given'])[0]}")
        if self.failures:
            print("The same command proposes others in their place.")
        if self.error is not None:
            raise self.error


def prepared(command: str, arguments: Any, schema: Callable[..., Any], combinations: Combinations) -> Search:
    """Check a search, say what it is going to do, and let Hydra run it.

    Parameters
    ----------
    command, arguments, schema, combinations
        See `lexy.cli.hydra_app.run_command`; `search=...` is among the arguments.

    Returns
    -------
    Search
        Filled in while Hydra runs.

    Raises
    ------
    UserError
        A mistake in the space, in the settings of the search, or in the config of one of its trials.
    """
    typed = arguments.overrides
    fixed = [str(item.input_line) for item in parsed(typed) if not item.is_sweep_override()]
    config, _ = composed(command, arguments, fixed)
    node: Any = OmegaConf.to_container(HydraConfig.get().sweeper, resolve=True)
    if node["_target_"] != TARGET:
        raise UserError(f"search=...: that option chooses no search. It needs hydra.sweeper._target_: {TARGET}")
    check({"hydra.sweeper": node | {"_target_": f"{__name__}.OptunaSweeper"}}, lambda **nodes: None)
    searched = space(node["space"], typed)
    for overrides in searched.corners():
        try:
            trial, _ = composed(command, arguments, overrides)
            values = resolved(trial)
            check(values, schema)
            refuse_distributed(trial)
            reason = combinations.why_not(values)
        except UserError as mistake:
            reason = str(mistake)
        if reason is not None:
            raise UserError(f"{reason}\nin a trial of the search: {' '.join(overrides)}")
    keys = ", ".join(searched.dimensions)
    print(f"search of {node['n_trials']} trials over {keys}: {node['storage']}")
    if config.sweep.dry_run:
        sys.exit(0)
    search = Search()
    register("OptunaSweeper", partial(OptunaSweeper, search=search))
    return search


class OptunaSweeper(Sweeper):
    """Asks Optuna for trials, runs them with Hydra's launcher, and tells Optuna what came of them.

    All that is known of the trials lies in the storage. A search that was killed goes on with its trials as they were.

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
        An Optuna pruner.
    space : dict
        See `lexy.sweeps.search_space.space`.
    search : Search, optional
        Where to say what became of it.
    """

    def __init__(
        self,
        study_name: str,
        storage: str,
        direction: Literal["maximize", "minimize"],
        n_trials: Annotated[int, Ge(1)],
        n_jobs: Annotated[int, Ge(-1)],
        seed: Annotated[int, Ge(0)],
        sampler: Any,
        pruner: Any,
        space: dict[str, str],
        search: Search | None = None,
    ) -> None:
        self.study_name, self.path, self.direction = study_name, Path(storage), direction
        self.n_trials, self.n_jobs, self.seed = n_trials, n_jobs, seed
        self.sampler, self.pruner, self.configured = sampler, pruner, dict(space)
        self.search = search or Search()

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See Hydra's `Sweeper`."""
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the trials that are missing, and report on all; a mistake is kept for the end, as Hydra knows no such."""
        from lexy.report.sweep.search import report

        try:
            self.space = space(self.configured, arguments)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            Path(self._config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
            with held(self.path.parent):
                study = self._study()
                try:
                    self._run(study)
                finally:
                    report(study, self.path.parent)
        except UserError as mistake:
            self.search.error = mistake

    @property
    def _config(self) -> DictConfig:
        assert self.config is not None
        return self.config

    def _study(self) -> optuna.Study:
        """The study, of these trials only: figures of other settings cannot be compared with theirs."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        cut_torn_line(self.path)
        self.storage = storage_at(self.path)
        study = optuna.create_study(
            storage=self.storage,
            study_name=self.study_name,
            direction=self.direction,
            load_if_exists=True,
        )
        task = OmegaConf.to_container(self._config, resolve=False)
        assert isinstance(task, dict)
        now = {
            "space": self.space.described(),
            "direction": self.direction,
            "overrides": [item for item in self.space.fixed if item.partition("=")[0].split(".")[0] not in SHARED],
            "settings": fingerprint({key: value for key, value in task.items() if key not in {*NOT_IDENTITY, "hydra"}}),
        }
        before = study.user_attrs or now
        for what in ("space", "direction", "settings"):
            if before[what] != now[what]:
                shown = "overrides" if what == "settings" else what
                old, new = _where_they_differ(before[shown], now[shown])
                raise UserError(
                    f"{self.path} holds trials of another {what.removesuffix('s')}: {old}; now {new}. "
                    "Go on with the old one, or give the search another name=..."
                )
        for key, value in now.items():
            study.set_user_attr(key, value)
        return study

    def _run(self, study: optuna.Study) -> None:
        """Go on with the trials that a killed search left, and propose as many more as are missing."""
        left = study.get_trials(states=[TrialState.RUNNING])
        for trial in left:
            if trial.params.keys() != self.space.dimensions.keys():  # killed while it was being proposed
                study.tell(trial.number, state=TrialState.FAIL)
        left = study.get_trials(states=[TrialState.RUNNING])
        self._launch(study, left)
        missing = self.n_trials - len(study.get_trials(states=ENDED)) - len(self.search.failures)
        at_once = len(os.sched_getaffinity(0)) if self.n_jobs == -1 else max(1, self.n_jobs)
        for first in range(0, missing, at_once):
            self._launch(study, [self._ask(study) for _ in range(min(at_once, missing - first))])

    def _ask(self, study: optuna.Study) -> FrozenTrial:
        """Propose a trial: a function of the seed, its number and the trials before, so a stop changes nothing."""
        number = len(study.get_trials(deepcopy=False))
        seed = int(np.random.SeedSequence((self.seed, number)).generate_state(1)[0])
        study.sampler = self.sampler(seed=seed)
        study.ask(self.space.dimensions)
        return study.get_trials()[number]

    def _launch(self, study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
        assert self.launcher is not None
        for batch in batches(trials):
            jobs = [self.space.job(trial.params) for trial in batch]
            for trial, job in zip(batch, jobs, strict=True):
                self._note(trial.number, "overrides", job)
            try:
                results = self.launcher.launch(
                    [[*job, *self._where()] for job in jobs], initial_job_idx=batch[0].number
                )
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise UserError(
                    f"the launcher broke off: {reason}. The same command goes on with its trials."
                ) from error
            for trial, result in zip(batch, results, strict=True):
                self._tell(study, trial.number, result)

    def _where(self) -> list[str]:
        """What tells a job's own process, in whichever folder it works, where its trial is written down."""
        values = {"storage": str(self.path.resolve()), "study_name": self.study_name}
        return [f"hydra.sweeper.{key}={QuotedString(text, Quote.single).with_quotes()}" for key, text in values.items()]

    def _tell(self, study: optuna.Study, number: int, result: JobReturn) -> None:
        if study.get_trials(deepcopy=False)[number].state == TrialState.PRUNED:  # by the trial's own process
            return
        value = result.return_value if result.status == JobStatus.COMPLETED else None
        if isinstance(value, int | float) and math.isfinite(value):
            study.tell(number, float(value))
            best = study.best_trial
            Console(highlight=False).print(f"trial {number}: {value:.4f} (best: {best.value:.4f}, trial {best.number})")
            return
        reason = self._reason(number, result, value)
        self._note(number, "reason", reason)
        study.tell(number, state=TrialState.FAIL)
        self.search.failures[number] = reason

    def _note(self, number: int, key: str, value: Any) -> None:
        self.storage.set_trial_user_attr(trial_id(self.storage, self.study_name, number), key, value)

    def _reason(self, number: int, result: JobReturn, value: Any) -> str:
        """Why a trial has no figure: what its process wrote down, if that came so far."""
        path = Path(self._config.hydra.sweep.dir) / f"{number}.json"
        if path.is_file() and (reason := json.loads(path.read_text()).get("reason")):
            return str(reason)
        if result.status == JobStatus.FAILED:
            error = result._return_value
            return f"{type(error).__name__}: {error}"
        return f"its figure is {value}"


def _where_they_differ(before: Any, now: Any) -> tuple[str, str]:
    """Both as text; of spaces, the keys that are not the same."""
    if not isinstance(before, dict):
        return str(before), str(now)
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    old, new = (", ".join(f"{key}: {space.get(key, 'not searched')}" for key in keys) for space in (before, now))
    return old, new


def batches(trials: Sequence[FrozenTrial]) -> Iterator[list[FrozenTrial]]:
    """Trials that can be launched together: numbered one after the other, as a launcher counts, and no two alike.

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
