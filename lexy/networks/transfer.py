"""Weights of one network as the start of another."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

How = Literal["loaded", "widened", "new", "unused"]


class Moved(NamedTuple):
    """What became of one tensor: its name, how, its shape in the source and in the network ('': not there)."""

    tensor: str
    how: How
    source: str
    network: str


def transfer(network: nn.Module, weights: Mapping[str, Tensor]) -> list[Moved]:
    """Copy what fits, by name and shape, in place.

    A convolution that has more input channels than its source gets zeros for those behind: a Track-Net that starts from
    a U-Net does not see its mask at first, and gives what the U-Net gave. Statistics of normalisation are copied too.

    Parameters
    ----------
    network : Module
    weights : mapping of str to Tensor
        State dict of another network.

    Returns
    -------
    list of Moved
        Every tensor of both: `loaded`, `widened`, `new` (keeps its random start: not in the source, or of another
        shape there), `unused` (in the source alone).

    Raises
    ------
    ValueError
        No kernel has the same shape in both. A bias, or a kernel that can be widened, fits networks of any width: the
        head's.
    """
    own = network.state_dict()
    report = []
    for name, tensor in own.items():
        source = weights.get(name)
        how = _copy(tensor, source)
        report.append(Moved(name, how, "" if source is None else _shape(source), _shape(tensor)))
    report += [Moved(name, "unused", _shape(weights[name]), "") for name in weights if name not in own]
    if not any(moved.how == "loaded" and own[moved.tensor].dim() > 1 for moved in report):
        raise ValueError(
            f"none of its {len(weights)} tensors, but for those that fit any network, fits one of the {len(own)} of "
            f"{type(network).__name__}: the backbones differ (kind, width)"
        )
    return report


def _copy(target: Tensor, source: Tensor | None) -> How:
    if source is None:
        return "new"
    if source.shape == target.shape:
        target.copy_(source)
        return "loaded"
    wider = (
        source.dim() == target.dim() == 4
        and source.shape[0] == target.shape[0]
        and source.shape[1] < target.shape[1]
        and source.shape[2:] == target.shape[2:]
    )
    if not wider:
        return "new"
    target.copy_(torch.zeros_like(target))
    target[:, : source.shape[1]].copy_(source)
    return "widened"


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "scalar"
