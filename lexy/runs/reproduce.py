"""The overrides with which `lexy-evaluate` finds the data of a training."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

Keys = tuple[str, ...]
NODES = ("data", "start", "paths")
WORD = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.-]*")
OTHER_THAN_TEXT = {"null", "true", "false", "inf", "nan"}


def evaluation_overrides(config: DictConfig, data_name: str) -> list[str]:
    """Return what `lexy-evaluate` needs to find the data and the start of a training, quoted for a shell.

    Parameters
    ----------
    config : DictConfig
        Of the training, while Hydra runs it; with its interpolations.
    data_name : str
        Name of the data: the option, where the config is a written one that chose none.

    Returns
    -------
    list of str
        Choices of the groups; then the values that differ from theirs, whoever set them (the command line, an
        experiment, a written config).
    """
    from hydra import compose
    from hydra.core.hydra_config import HydraConfig

    chosen = {"data": data_name, **HydraConfig.get().runtime.choices}
    groups = [f"{group}={chosen[group]}" for group in chosen if re.match(r"(data|start)$|data/", group)]
    default = compose("evaluate", overrides=["checkpoint=a.ckpt", *groups])
    linked, usual = (_plain(each, resolve=False) for each in (config, default))
    ours, theirs = (_plain(each, resolve=True) for each in (config, default))
    # A value that only follows another one (a folder that of the paths) is told by that.
    overrides = [
        f"{mark}{'.'.join(keys)}{value}"
        for mark, keys, value in _changes(ours, theirs)
        if _value_at(linked, keys) != _value_at(usual, keys)
    ]
    if config.frame_network is not None:
        overrides.append(f"frame_network={override_value(config.frame_network)}")
    package = config.model._target_.split(".")[0]
    allow = sorted({*config.allow, *([] if package == "lexy" else [package])})
    overrides += [f"allow={override_value(allow)}"] if allow else []
    return [shlex.quote(item) for item in (*groups, *overrides)]


def _plain(config: DictConfig, *, resolve: bool) -> dict[str, Any]:
    return {node: OmegaConf.to_container(config[node], resolve=resolve) for node in NODES}


def override_value(value: Any) -> str:
    """Write a plain value as Hydra's command line reads it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{override_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(override_value, value)) + "]"
    if not isinstance(value, str):
        return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    if WORD.fullmatch(value) and value.lower() not in OTHER_THAN_TEXT:
        return value
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)  # or they would take the closing quote for themselves
    return f'"{escaped}"'


def _changes(ours: dict[str, Any], theirs: dict[str, Any], above: Keys = ()) -> Iterator[tuple[str, Keys, str]]:
    """Yield mark, keys and value of the overrides that turn theirs into ours."""
    for key in theirs.keys() - ours.keys():
        yield "~", (*above, key), ""
    for key, value in ours.items():
        keys = (*above, key)
        if key not in theirs:
            yield "+", keys, f"={override_value(value)}"
        elif isinstance(value, dict) and isinstance(theirs[key], dict):
            yield from _changes(value, theirs[key], keys)
        elif value != theirs[key]:
            yield "", keys, f"={override_value(value)}"


def _value_at(tree: Any, keys: Keys) -> Any:
    """Return the value at a path of keys, or the link above it that stands for the whole node."""
    for key in keys:
        if not isinstance(tree, dict):
            return tree
        tree = tree.get(key)
    return tree
