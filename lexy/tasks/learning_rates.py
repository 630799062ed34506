"""Learning rates of parts of a network; a rate of zero freezes a part."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from lexy.errors import UserError


def with_rates(
    factory: Callable[[Iterable[Any]], Optimizer], network: nn.Module, rates: Mapping[str, float]
) -> Optimizer:
    """An optimiser whose learning rate differs from part to part.

    Parameters
    ----------
    factory : callable
        From parameters to an optimiser with its own learning rate.
    network : Module
    rates : mapping of str to float
        For the start of a parameter's name, up to one of its dots, a factor on the rate; the longest that fits counts.
        0 freezes: see `freeze`. Others have the factor 1.

    Raises
    ------
    UserError
        A name fits no parameter, a factor is negative, or everything is frozen.
    """
    factors = _factors(network, rates)
    groups: dict[float, list[nn.Parameter]] = defaultdict(list)
    for name, parameter in network.named_parameters():
        groups[factors[name]].append(parameter)
    trained = {factor: parameters for factor, parameters in groups.items() if factor > 0}
    optimizer = factory([{"params": parameters} for parameters in trained.values()])
    for group, factor in zip(optimizer.param_groups, trained, strict=True):
        group["lr"] *= factor
    return optimizer


def freeze(network: nn.Module, rates: Mapping[str, float]) -> list[nn.Module]:
    """Take the gradient from the parameters whose rate is zero.

    Returns
    -------
    list of Module
        Those whose parameters are all frozen; kept in evaluation mode, they also keep the statistics of their
        normalisation.

    Raises
    ------
    UserError
        As for `with_rates`.
    """
    factors = _factors(network, rates)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(factors[name] > 0)
    own = [(module, list(module.parameters())) for module in network.modules()]
    return [module for module, parameters in own if parameters and not any(p.requires_grad for p in parameters)]


def _factors(network: nn.Module, rates: Mapping[str, float]) -> dict[str, float]:
    """The factor of each parameter, by name."""
    names = [name for name, _ in network.named_parameters()]
    for part, factor in rates.items():
        if factor < 0:
            raise UserError(f"task.rates: {part}: {factor} is negative. Give 0 to freeze, 1 for the full rate.")
        if not any(_within(name, part) for name in names):
            parts = sorted({name.rpartition(".")[0] for name in names})
            raise UserError(f"task.rates: no parameter's name begins with {part!r}. There are: {', '.join(parts)}.")
    factors = {
        name: next((rates[part] for part in sorted(rates, key=len, reverse=True) if _within(name, part)), 1.0)
        for name in names
    }
    if names and not any(factors.values()):
        raise UserError(f"task.rates={dict(rates)} freezes the whole network: nothing would be trained.")
    return factors


def _within(name: str, part: str) -> bool:
    return f"{name}.".startswith(f"{part}.")
