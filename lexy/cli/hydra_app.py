"""What the three Hydra commands share: check every job first, then run, and say what went wrong in one message."""

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import get_method
from omegaconf import DictConfig

from lexy.config.check import check, resolved
from lexy.config.compose import composed, config_folder, without_sweeps
from lexy.config.hydra_internals import parse_arguments
from lexy.errors import UserError, as_user_error, print_error
from lexy.sweeps.command import Command
from lexy.sweeps.jobs import run_sweep
from lexy.threads import wait_passively


def run_command(command: Command) -> None:
    """Run a Hydra command to its end and leave the process with its exit status."""
    wait_passively()
    arguments = parse_arguments()
    verbose = "HYDRA_FULL_ERROR" in os.environ or any(item.startswith("hydra.verbose=") for item in arguments.overrides)
    try:
        if arguments.help:
            from lexy.config.help import show

            config, choices = composed(command.name, arguments, without_sweeps(arguments.overrides))
            show(command.name, config_folder(), config, choices)
            return
        ended_well = _run(command, arguments)
    except UserError as error:
        if verbose:
            raise
        print_error(error)
        ended_well = False
    sys.exit(0 if ended_well else 1)


def _run(command: Command, arguments: Namespace) -> bool:
    """Run a search, a sweep or one job, or let Hydra print what its flags ask for; return whether all ended well."""
    search = any(item.startswith("search=") and item != "search=null" for item in arguments.overrides)
    if not (arguments.cfg or arguments.info or arguments.shell_completion or arguments.hydra_help):
        if arguments.multirun and arguments.config_path:
            raise UserError("--config-path: a sweep does not take it. Give --config-dir.")
        if arguments.multirun and search:
            from lexy.sweeps.search import run_search

            return run_search(command, arguments)
        if arguments.multirun:
            return run_sweep(command, arguments)
        if search:
            raise UserError("search=...: a search runs many jobs. Give -m too.")
        config, _ = composed(command.name, arguments, arguments.overrides)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise UserError("hydra.mode=MULTIRUN: give -m instead.")
        check(resolved(config), command.schema)
    errors: list[UserError] = []
    main = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=command.name)
    main(_single_job(get_method(command.function), errors))()
    if errors:
        raise errors[0]
    return True


def _single_job(function: Callable[[DictConfig], Any], errors: list[UserError]) -> Callable[[DictConfig], Any]:
    """Return what Hydra calls: `function`, whose errors for users are kept, because Hydra would print a traceback."""

    def run(config: DictConfig) -> Any:
        try:
            return function(config)
        except Exception as error:
            shown = as_user_error(error)
            if shown is None:
                raise
            errors.append(shown)
            return None

    return run
