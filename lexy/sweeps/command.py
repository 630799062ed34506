"""What is to be known of a command to plan its sweeps and run its jobs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig


@dataclass(frozen=True)
class Command:
    """A command whose config Hydra composes.

    Parameters
    ----------
    name : str
        Of its primary config.
    function : str
        Dotted path of the function that runs one job, given its config. Not the function itself: the process of a job,
        which may be on another machine, imports it by name.
    schema : callable
        Its parameters are the keys of the config's top level.
    preload : tuple of str
        Modules that every job needs, imported once by the server that the jobs' processes are forked from.
    why_not : callable
        Takes a resolved config; returns why its groups do not fit together, None if they do.
    unused_groups : callable
        Takes a resolved config; returns the groups that change nothing in it, with the reason.
    last_status : callable
        Takes a config with its interpolations; returns the status of the last job with the same identity, empty if
        there was none.
    """

    name: str
    function: str
    schema: Callable[..., Any]
    preload: tuple[str, ...] = ()
    why_not: Callable[[Mapping[str, Any]], str | None] = lambda config: None
    unused_groups: Callable[[Mapping[str, Any]], Mapping[str, str]] = lambda config: {}
    last_status: Callable[[DictConfig], Mapping[str, Any]] = lambda config: {}
