"""What the three Hydra commands share: check every job first, then run, and say what went wrong in one message."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_automatic_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from lexy.cli.check import check, resolved, suggestion
from lexy.errors import UserError


def config_folder() -> Path:
    """The folder of the configs: beside the package in a clone, inside it in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def run_command(command: str, task: Callable[[DictConfig], Any], schema: Callable[..., Any]) -> None:
    """Run a Hydra command to its end and leave the process with its exit status.

    Parameters
    ----------
    command : str
        Name of its primary config.
    task : callable
        Takes the config of one job.
    schema : callable
        Its parameters are the keys of the config's top level.
    """
    arguments = get_args_parser().parse_args()
    verbose = "HYDRA_FULL_ERROR" in os.environ or any(item.startswith("hydra.verbose=") for item in arguments.overrides)
    try:
        if arguments.help:
            from lexy.cli.help import show

            config, choices = _composed(command, arguments, _plain(arguments.overrides))
            show(command, config_folder(), config, choices)
            return
        if not (arguments.cfg or arguments.info or arguments.shell_completion or arguments.hydra_help):
            for overrides in jobs(arguments.overrides, multirun=arguments.multirun):
                config, _ = _composed(command, arguments, overrides)
                check(resolved(config), schema)
                if arguments.multirun:
                    _refuse_distributed(config)
        failures: list[UserError] = []
        main = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=command)
        main(_collecting(task, failures))()
        if verbose and failures:
            raise failures[0]
        sys.exit(1 if failures else 0)
    except UserError as error:
        if verbose:
            raise
        _print(error)
        sys.exit(1)


def _refuse_distributed(config: DictConfig) -> None:
    if str(OmegaConf.select(config, "trainer.strategy")).startswith("ddp"):
        raise UserError(
            "trainer.strategy=ddp with -m: each of its processes would start the whole sweep again. "
            "Start the runs one at a time."
        )


def _print(error: UserError) -> None:
    print(f"error: {error}", file=sys.stderr)


def jobs(overrides: Sequence[str], *, multirun: bool) -> list[list[str]]:
    """The overrides of each job of a command line."""
    if not multirun:
        return [list(overrides)]
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    try:
        parsed = OverridesParser.create().parse_overrides(overrides=list(overrides))
        batches = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    except HydraException as error:
        raise UserError(str(error)) from error
    return [job for batch in batches for job in batch]


def _plain(overrides: Sequence[str]) -> list[str]:
    """The overrides that one config can be composed of (help takes a sweep's command line too)."""
    return [item for item in overrides if not re.search(r"[,(]", item)]


def _collecting(task: Callable[[DictConfig], Any], failures: list[UserError]) -> Callable[[DictConfig], Any]:
    parent = os.getpid()

    def run(config: DictConfig) -> Any:
        try:
            return task(config)
        except UserError as error:
            if os.getpid() != parent:  # a launcher's process: Hydra brings this kind home and ends without a traceback
                raise CompactHydraException(f"error: {error}") from None
            _print(error)  # at once: the other jobs of a sweep go on
            failures.append(error)
            return None

    return run


def _composed(command: str, arguments: Any, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The config of one job and the option chosen in each group; composing makes no folder."""
    search_path = create_automatic_config_search_path(None, None, str(config_folder()))
    if arguments.config_dir is not None:
        if not Path(arguments.config_dir).is_dir():
            raise UserError(f"--config-dir {arguments.config_dir}: no such folder.")
        folder = f"file://{Path(arguments.config_dir).resolve()}"
        search_path.prepend("command-line", folder, SearchPathQuery(provider="schema"))  # where Hydra puts it
    GlobalHydra.instance().clear()
    try:
        version.setbase("1.3")
        Hydra.create_main_hydra2(task_name=command, config_search_path=search_path)
        config = compose(arguments.config_name or command, list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)  # for ${hydra:...} in the config
        choices = {group: str(option) for group, option in config.hydra.runtime.choices.items()}
        with open_dict(config):
            del config["hydra"]
        return config, choices
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise UserError(_explained(error, command, arguments, overrides) if overrides else str(error)) from error
    finally:
        GlobalHydra.instance().clear()


def _explained(error: Exception, command: str, arguments: Any, overrides: Sequence[str]) -> str:
    text = "\n".join(line for line in str(error).splitlines() if line.strip())
    key = re.search(r"Could not override '([^']+)'", text)
    if key is None:
        return f"{text}\nin: {' '.join([*overrides])}"
    config, _ = _composed(command, arguments, [])
    wrong = key[1].removeprefix("+")
    parent, _, leaf = wrong.rpartition(".")
    node: Any = config
    for name in filter(None, parent.split(".")):
        if not isinstance(node, DictConfig) or name not in node:
            break
        node = node[name]
    valid = [str(name) for name in node] if isinstance(node, DictConfig) else []
    return (
        f"{wrong} is not a key of the config. {suggestion(leaf, valid)} +{wrong}=VALUE adds a setting not listed here."
    )
