"""What the three Hydra commands share: check every job first, then run, and say what went wrong in one message."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from lexy.config.check import check, resolved
from lexy.config.compose import composed, config_folder, plain
from lexy.errors import UserError
from lexy.files import written_nowhere
from lexy.runs.identity import commit
from lexy.sweeps.jobs import Results, begin, run_job
from lexy.sweeps.plan import Combinations, planned, show_plan
from lexy.threads import wait_passively

if TYPE_CHECKING:
    from lexy.sweeps.search import Search

ALL_EXIST = Combinations()


def run_command(
    command: str,
    task: Callable[[DictConfig], Any],
    schema: Callable[..., Any],
    combinations: Combinations = ALL_EXIST,
) -> None:
    """Run a Hydra command to its end and leave the process with its exit status.

    Parameters
    ----------
    command : str
        Name of its primary config, of the module in `lexy.cli` and of `task` in it.
    task : callable
        Takes the config of one job.
    schema : callable
        Its parameters are the keys of the config's top level.
    combinations : lexy.sweeps.plan.Combinations
        Of a sweep.
    """
    wait_passively()
    arguments = get_args_parser().parse_args()
    verbose = "HYDRA_FULL_ERROR" in os.environ or any(item.startswith("hydra.verbose=") for item in arguments.overrides)
    try:
        if arguments.help:
            from lexy.config.help import show

            config, choices = composed(command, arguments, plain(arguments.overrides))
            show(command, config_folder(), config, choices)
            return
        results: Results | Search | None = None
        if not (arguments.cfg or arguments.info or arguments.shell_completion or arguments.hydra_help):
            if arguments.multirun:
                results = _prepared(command, arguments, schema, combinations)
            else:
                if _searches(arguments.overrides):
                    raise UserError("search=...: a search runs many jobs. Give -m too.")
                config, _ = composed(command, arguments, arguments.overrides)
                check(resolved(config), schema)
        failures: list[UserError] = []
        main = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=command)
        main(_job(command, task, failures))()
        if failures:
            raise failures[0]
        if results is not None:
            results.show()
        sys.exit(1 if results is not None and results.failed else 0)
    except UserError as error:
        if verbose:
            raise
        print_error(error)
        sys.exit(1)


def _prepared(
    command: str, arguments: Any, schema: Callable[..., Any], combinations: Combinations
) -> "Results | Search":
    """What is to become of a sweep, or of a search; the process ends here if there is nothing to run."""
    if _searches(arguments.overrides):
        from lexy.sweeps.search import prepared

        return prepared(command, arguments, schema, combinations)
    plan = planned(command, arguments, schema, combinations)
    show_plan(plan, commit())
    first = next((job for job in plan if job.launched), None)
    if first is None or composed(command, arguments, first.overrides)[0].sweep.dry_run:
        sys.exit(0)
    return begin(plan)


def _searches(overrides: Sequence[str]) -> bool:
    return any(item.startswith("search=") and item != "search=null" for item in overrides)


def print_error(error: UserError) -> None:
    """Tell the user."""
    print(f"error: {error}", file=sys.stderr)


def _job(command: str, task: Callable[[DictConfig], Any], failures: list[UserError]) -> Callable[[DictConfig], Any]:
    """What Hydra calls for every job; `task` itself where it is the only one."""

    def run(config: DictConfig) -> Any:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return run_job(command, config)
        try:
            return task(config)
        except Exception as error:  # Hydra would print a traceback
            told = error if isinstance(error, UserError) else written_nowhere(error)
            if told is None:
                raise
            failures.append(told)
            return None

    return run
