"""The command line with which another command finds the data of this one."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

Keys = tuple[str, ...]
NODES = ("data", "start", "paths")
WORD = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.-]*")
OTHER_THAN_TEXT = {"null", "true", "false", "inf", "nan"}


def same_data(config: DictConfig, name: str) -> list[str]:
    """What `lexy-evaluate` is to be told to find the data and the start of a training, quoted for a shell.

    Parameters
    ----------
    config : DictConfig
        Of the training, while Hydra runs it; with its interpolations.
    name : str
        Of the data: the option, where the config is a written one that chose none.

    Returns
    -------
    list of str
        Choices of the groups; then the values that differ from theirs, whoever set them (the command line, an
        experiment, a written config).
    """
    from hydra import compose
    from hydra.core.hydra_config import HydraConfig

    chosen = {"data": name, **HydraConfig.get().runtime.choices}
    groups = [f"{group}={chosen[group]}" for group in chosen if re.match(r"(data|start)$|data/", group)]
    default = compose("evaluate", overrides=["checkpoint=a.ckpt", *groups])
    linked, usual = (_plain(each, resolve=False) for each in (config, default))
    ours, theirs = (_plain(each, resolve=True) for each in (config, default))
    # A value that only follows another one (a folder that of the paths) is told by that.
    changes = [change for change in _changes(ours, theirs) if _at(linked, change[1]) != _at(usual, change[1])]
    overrides = [f"{mark}{'.'.join(keys)}{value}" for mark, keys, value in changes]
    if config.frame_network is not None:
        overrides.append(f"frame_network={spelled(config.frame_network)}")
    package = config.model._target_.split(".")[0]
    allow = sorted({*config.allow, *([] if package == "lexy" else [package])})
    overrides += [f"allow={spelled(allow)}"] if allow else []
    return [shlex.quote(item) for item in (*groups, *overrides)]


def _plain(config: DictConfig, *, resolve: bool) -> dict[str, Any]:
    return {node: OmegaConf.to_container(config[node], resolve=resolve) for node in NODES}


def spelled(value: Any) -> str:
    """A plain value as Hydra's command line reads it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{spelled(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(spelled, value)) + "]"
    if not isinstance(value, str):
        return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    if WORD.fullmatch(value) and value.lower() not in OTHER_THAN_TEXT:
        return value
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)  # or they would take the closing quote for themselves
    return f'"{escaped}"'


def _changes(ours: dict[str, Any], theirs: dict[str, Any], above: Keys = ()) -> Iterator[tuple[str, Keys, str]]:
    """Mark, keys and value of the overrides that make ours of theirs."""
    for key in theirs.keys() - ours.keys():
        yield "~", (*above, key), ""
    for key, value in ours.items():
        keys = (*above, key)
        if key not in theirs:
            yield "+", keys, f"={spelled(value)}"
        elif isinstance(value, dict) and isinstance(theirs[key], dict):
            yield from _changes(value, theirs[key], keys)
        elif value != theirs[key]:
            yield "", keys, f"={spelled(value)}"


def _at(tree: Any, keys: Keys) -> Any:
    """What stands there; above it, if that is a link or nothing."""
    for key in keys:
        if not isinstance(tree, dict):
            return tree
        tree = tree.get(key)
    return tree
