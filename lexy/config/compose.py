"""Compose configs by Hydra without running anything; its errors become messages that say what is valid."""

import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from lexy.config.check import suggestion
from lexy.config.hydra_internals import Hydra, combine_sweep, create_hydra
from lexy.errors import NoSuchKey, UserError


def config_folder() -> Path:
    """Return the folder of the configs: beside the package in a clone, inside it in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def sweep_jobs(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job of a command line; UserError if they cannot be read."""
    try:
        return combine_sweep(overrides)
    except HydraException as error:
        raise UserError(str(error)) from error


def without_sweeps(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that hold for every job: those that one config, as for `--help`, can be composed of."""
    return [item for item in overrides if not re.search(r"[,(]", item)]


def composed(command: str, arguments: Namespace, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """Compose the config of one job, without making a folder; return it with the option chosen in each group.

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


def initialise(command: str, config_dir: str | None) -> Hydra:
    """Let Hydra find the configs of a command, and those in the user's own folder; it must know of none yet."""
    if config_dir is not None and not Path(config_dir).is_dir():
        raise UserError(f"--config-dir {config_dir}: no such folder.")
    return create_hydra(command, config_folder(), None if config_dir is None else Path(config_dir))


def _explained(error: Exception, command: str, arguments: Namespace, overrides: Sequence[str]) -> UserError:
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
