"""The space of a search: which values a key of the config may take, written as Hydra writes sweeps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from lexy.errors import UserError

# All trials of a search lie in one folder and run in one way.
SHARED = {"name", "paths", "hydra", "search", "launcher", "sweep", "resume"}


@dataclass(frozen=True)
class Space:
    """What the trials of a search share, and where they differ.

    Attributes
    ----------
    fixed : list of str
        Overrides of every trial.
    dimensions : dict
        Key, as in an override → Optuna's distribution of its values. Choices are the texts that Hydra would read.
    """

    fixed: list[str]
    dimensions: dict[str, BaseDistribution]

    def job(self, parameters: Mapping[str, Any]) -> list[str]:
        """Return the overrides of a trial."""
        return [*self.fixed, *assignments({key: parameters[key] for key in self.dimensions})]

    def corners(self) -> list[list[str]]:
        """Return overrides in which every choice and both ends of every range come up, one at a time."""
        ends = {key: _ends(dimension) for key, dimension in self.dimensions.items()}
        first = {key: values[0] for key, values in ends.items()}
        others = ({**first, key: value} for key, values in ends.items() for value in values[1:])
        return [self.job(parameters) for parameters in (first, *others)]

    def described(self) -> dict[str, str]:
        """Return key → its values, as text that is the same whenever they are."""
        return {key: str(dimension) for key, dimension in sorted(self.dimensions.items())}


def assignments(parameters: Mapping[str, Any]) -> list[str]:
    """Return parameters as overrides."""
    return [f"{key}={value}" for key, value in parameters.items()]


def parse_overrides(overrides: Iterable[str]) -> list[Override]:
    """Parse overrides as Hydra does.

    Raises
    ------
    UserError
        They cannot be read.
    """
    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise UserError(str(error)) from error


def search_space(configured: Mapping[str, str], typed: Sequence[str]) -> Space:
    """Return the space of a search.

    Parameters
    ----------
    configured : mapping
        Key → sweep, as in `hydra.sweeper.space`.
    typed : sequence of str
        Overrides of the command line: its sweeps join the space or replace what it says, its plain values fix a key.

    Raises
    ------
    UserError
        A sweep that cannot be read or searched, or none at all.
    """
    sweeps = parse_overrides(f"{key}={values}" for key, values in configured.items())
    for override in sweeps:
        if not override.is_sweep_override():
            key = override.get_key_element()
            raise UserError(
                f"hydra.sweeper.space: {override.input_line} is one value. Give several, such as {key}=choice(a,b) or "
                f"interval(0,1), or fix it on the command line."
            )
    last = {override.get_key_element().lstrip("+"): override for override in [*sweeps, *parse_overrides(typed)]}
    fixed = [str(override.input_line) for override in last.values() if not override.is_sweep_override()]
    dimensions = {item.get_key_element(): _dimension(item) for item in last.values() if item.is_sweep_override()}
    if not dimensions:
        raise UserError("a search with nothing to search: every key has one value. Give a key several, key=a,b.")
    return Space(fixed, dimensions)


def _dimension(override: Override) -> BaseDistribution:
    key, text = override.get_key_element(), override.input_line
    if key.lstrip("+").split(".")[0].split("/")[0] in SHARED:
        raise UserError(f"{text}: all trials of a search share {key}. Give one value.")
    value: Any = override.value()
    tags = set(getattr(value, "tags", ()))
    if tags - {"log"} or (tags and override.is_choice_sweep()):
        raise UserError(f"{text}: of tags, a search knows log, for interval and range.")
    try:
        if override.is_choice_sweep():
            return CategoricalDistribution(list(override.sweep_string_iterator()))
        if isinstance(value, IntervalSweep):
            return _numbers(value.start, value.end, 1 if isinstance(value.start, int) else None, log=bool(tags))
        numbers = sorted(override.sweep_iterator())  # type: ignore[type-var]
        if not numbers:
            raise UserError(f"{text}: there is no number in this range.")
        return _numbers(numbers[0], numbers[-1], abs(value.step), log=bool(tags))
    except (ValueError, HydraException) as error:
        raise UserError(f"{text}: {error}") from error


def _numbers(low: Any, high: Any, step: Any, *, log: bool) -> BaseDistribution:
    if all(isinstance(value, int) for value in (low, high, step)):
        return IntDistribution(low, high, log=log, step=step)
    return FloatDistribution(float(low), float(high), log=log, step=step)


def _ends(dimension: BaseDistribution) -> list[Any]:
    if isinstance(dimension, CategoricalDistribution):
        return list(dimension.choices)
    assert isinstance(dimension, IntDistribution | FloatDistribution)
    return [dimension.low, dimension.high]
