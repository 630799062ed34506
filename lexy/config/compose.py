"""Configs as Hydra composes them, without running anything; its complaints become messages that say what is valid."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from lexy.config.check import suggestion
from lexy.errors import NoSuchKey, UserError


def config_folder() -> Path:
    """The folder of the configs: beside the package in a clone, inside it in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


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


def plain(overrides: Sequence[str]) -> list[str]:
    """The overrides that one config can be composed of: help, and what holds for a whole sweep, take its line too."""
    return [item for item in overrides if not re.search(r"[,(]", item)]


def composed(command: str, arguments: Any, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The config of one job and the option chosen in each group; composing makes no folder.

    Parameters
    ----------
    command : str
        Name of the primary config.
    arguments : Namespace
        Hydra's own flags, as its parser gives them.
    overrides : sequence of str

    Raises
    ------
    NoSuchKey
        An override names a key or group that this config does not have.
    UserError
        Any other mistake.
    """
    GlobalHydra.instance().clear()
    try:
        initialise(command, arguments.config_dir)
        config = compose(arguments.config_name or command, list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)  # for ${hydra:...} in the config
        choices = {group: str(option) for group, option in config.hydra.runtime.choices.items()}
        with open_dict(config):
            del config["hydra"]
        return config, choices
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise (_explained(error, command, arguments, overrides) if overrides else UserError(str(error))) from error
    finally:
        GlobalHydra.instance().clear()


def initialise(command: str, config_dir: str | None) -> None:
    """Let Hydra find the configs of a command, and first those in the user's own folder."""
    search_path = create_automatic_config_search_path(None, None, str(config_folder()))
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise UserError(f"--config-dir {config_dir}: no such folder.")
        folder = f"file://{Path(config_dir).resolve()}"
        search_path.prepend("command-line", folder, SearchPathQuery(provider="schema"))  # where Hydra puts it
    version.setbase("1.3")
    Hydra.create_main_hydra2(task_name=command, config_search_path=search_path)


def _explained(error: Exception, command: str, arguments: Any, overrides: Sequence[str]) -> UserError:
    text = "\n".join(line for line in str(error).splitlines() if line.strip())
    key = re.search(r"Could not override '([^']+)'", text)
    if key is None:
        return UserError(f"{text}\nin: {' '.join([*overrides])}")
    config, _ = composed(command, arguments, [])
    wrong = key[1].removeprefix("+")
    parent, _, leaf = wrong.rpartition(".")
    node: Any = config
    for name in filter(None, parent.split(".")):
        if not isinstance(node, DictConfig) or name not in node:
            break
        node = node[name]
    valid = [str(name) for name in node] if isinstance(node, DictConfig) else []
    return NoSuchKey(
        f"{wrong} is not a key of the config. {suggestion(leaf, valid)} +{wrong}=VALUE adds a setting not listed here.",
        wrong,
    )
