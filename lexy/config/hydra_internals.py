"""All that is used of `hydra._internal`, each for want of a public way.

The pin is hydra-core 1.3.x; `tests/config/test_hydra_internals.py` tests what is relied on.
"""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra as Hydra
from hydra._internal.utils import _locate, create_automatic_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig

BASIC_SWEEPER = f"{BasicSweeper.__module__}.{BasicSweeper.__qualname__}"  # Hydra's sweeper unless a config says another


def parse_arguments() -> Namespace:
    """Parse the command line into Hydra's flags and the overrides.

    `hydra.main` parses it again, but only runs jobs: configs are checked and a sweep is planned before.
    """
    return get_args_parser().parse_args()


def create_hydra(command: str, configs: Path, config_dir: Path | None) -> Hydra:
    """Make the one Hydra of this process, which finds configs in two folders.

    The public `initialize_config_dir` takes one folder, and has no `--config-dir`.

    Parameters
    ----------
    command : str
        Becomes `hydra.job.name`.
    configs : Path
    config_dir : Path or None
        Searched after `configs`, where `--config-dir` puts it.
    """
    search_path = create_automatic_config_search_path(None, None, str(configs))
    if config_dir is not None:
        search_path.prepend("command-line", f"file://{config_dir.resolve()}", SearchPathQuery(provider="schema"))
    version.setbase("1.3")
    return Hydra.create_main_hydra2(task_name=command, config_search_path=search_path)


def combine_sweep(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job of a sweep, in the order in which Hydra would run them.

    Hydra only combines them while it runs them, in its sweeper.
    """
    parsed = OverridesParser.create().parse_overrides(overrides=list(overrides))
    return [job for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None) for job in batch]


def locate(path: str) -> Any:
    """Import what a dotted path names; the public `get_object` also logs the error that it raises."""
    return _locate(path)


@contextmanager
def multirun_launcher(
    hydra: Hydra, config_name: str, overrides: Sequence[str], function: TaskFunction
) -> Iterator[tuple[Launcher, DictConfig]]:
    """Set up the launcher that a config chooses, as Hydra does before it gives it to its sweeper.

    Hydra makes launchers for sweepers only, and sweepers only of classes in the package `hydra_plugins`, which it
    gives nothing but their config: no plan and no study.

    Parameters
    ----------
    hydra : Hydra
    config_name : str
        Name of the primary config.
    overrides : sequence of str
        Of the command line; sweeps among them are left to the jobs.
    function : callable
        What the launcher calls with the config of a job, in whichever process it runs it.

    Yields
    ------
    launcher : Launcher
    config : DictConfig
        Of the sweep, with the node `hydra`.
    """
    config = hydra.compose_config(
        config_name=config_name,
        overrides=[*overrides, f"hydra.mode={RunMode.MULTIRUN.name}"],
        run_mode=RunMode.MULTIRUN,
        with_log_configuration=True,
    )
    callbacks = Callbacks(config)
    callbacks.on_multirun_start(config=config, config_name=config_name)
    context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
    yield Plugins.instance().instantiate_launcher(context, function, config), config
    callbacks.on_multirun_end(config=config, config_name=config_name)
