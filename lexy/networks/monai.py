"""Encoder–decoder networks of MONAI, cut in two at their deepest map."""

import math
from collections.abc import Sequence
from functools import singledispatch
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from annotated_types import Gt
from monai.networks import nets
from torch import Tensor, nn

from lexy.errors import UserError
from lexy.networks.backbone import Backbone


class MONAI(Backbone):
    """A network of `monai.networks.nets`, by its class name: its parts and its digits are MONAI's own.

    `BasicUNet`, `UNet` (with residual units), `AttentionUnet`, `DynUNet` (nnU-Net's), `SegResNet`, `MedNeXt` and `VNet`
    fit: a chain of stages, a decoder with one skip from each, one output, images of any size. Of the others, `UNETR` is
    built for one size of images; `BasicUNetPlusPlus`, `SegResNetDS` and `HoVerNet` are made for several outputs;
    `DiNTS` needs an architecture that a search has found; `SwinUNETR` needs einops; `FlexibleUNet` is smp's U-Net with
    fewer encoders, see `lexy.networks.smp.SMP`. Networks without a decoder have nothing to cut.

    Parameters
    ----------
    in_channels, branches : int
        See `Backbone`. With several branches a 1 × 1 convolution joins them at the deepest map.
    network : str
        Name of the class.
    arguments : dict, optional
        Of its constructor, but for `spatial_dims`, `in_channels` and `out_channels`.

    Raises
    ------
    UserError
        The class is none of those that fit; it cannot be built of these arguments, or has parts with them that a
        backbone has no use for, such as the heads of deep supervision.
    """

    def __init__(
        self,
        in_channels: Annotated[int, Gt(0)] = 1,
        branches: Annotated[int, Gt(0)] = 1,
        network: str = "BasicUNet",
        arguments: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        whole = _built(network, in_channels, arguments or {})
        stages, up, head = cut(whole)
        self.stages, self.up, self.head = nn.ModuleList(stages), nn.ModuleList(up), head
        self._refuse_unused(whole)
        self.channels = tuple(_convolutions(stage)[-1].out_channels for stage in stages)
        self.stride = math.prod(_stride(stage) for stage in stages)
        deepest = self.channels[-1]
        self.join = nn.Conv2d(branches * deepest, deepest, 1) if branches > 1 else nn.Identity()

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return features from shallow to deep."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def decode(self, features: Sequence[Tensor]) -> Tensor:
        """Return logits (B, 1, H, W) from features."""
        *skips, deepest = features
        x: Tensor = self.join(deepest)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(x, skip)
        logits: Tensor = self.head(x)
        return logits

    def _refuse_unused(self, whole: nn.Module) -> None:
        used = set(self.parameters())
        unused = [name for name, parameter in whole.named_parameters() if parameter not in used]
        if unused:
            raise UserError(
                f"With these arguments MONAI's {type(whole).__name__} has parameters that would never be trained "
                f"({unused[0]}, …): leave out what adds them to encoder and decoder, such as deep supervision."
            )


def _built(name: str, in_channels: int, arguments: dict[str, Any]) -> nn.Module:
    fitting = {kind.__name__: kind for kind in cut.registry if kind is not object}
    if name not in fitting:
        raise UserError(f"network={name!r} does not fit, or is not MONAI's. These fit: {', '.join(sorted(fitting))}.")
    try:
        whole: nn.Module = fitting[name](spatial_dims=2, in_channels=in_channels, out_channels=1, **arguments)
        return whole
    except (TypeError, ValueError, LookupError, AssertionError) as error:
        raise UserError(f"MONAI's {name} cannot be built with arguments={arguments!r}: {error}") from error


class Halves(NamedTuple):
    """A network cut in two: what `MONAI` is made of.

    Attributes
    ----------
    stages : sequence of Module
        From shallow to deep, each called with what the one before it gives.
    up : sequence of Module
        From deep to shallow, each called with what the one below it gives, and the output of the stage at its level.
    head : Module
        From the last of them to logits.
    """

    stages: Sequence[nn.Module]
    up: Sequence[nn.Module]
    head: nn.Module


@singledispatch
def cut(network: nn.Module) -> Halves:
    """Return the halves of a network. A further class of networks fits once a cut is registered for it."""
    raise TypeError(f"{type(network).__name__} has no cut.")


@cut.register
def _(network: nets.BasicUNet) -> Halves:
    stages = [network.conv_0, network.down_1, network.down_2, network.down_3, network.down_4]
    return Halves(stages, [network.upcat_4, network.upcat_3, network.upcat_2, network.upcat_1], network.final_conv)


@cut.register
def _(network: nets.DynUNet) -> Halves:
    stages = [network.input_block, *network.downsamples, network.bottleneck]
    return Halves(stages, network.upsamples, network.output_block)


@cut.register
def _(network: nets.SegResNet) -> Halves:
    dropout = [] if network.dropout_prob is None else [network.dropout]
    first, *deeper = network.down_layers
    stages = [nn.Sequential(network.convInit, *dropout, first), *deeper]
    up = [_AddSkip(*pair) for pair in zip(network.up_samples, network.up_layers, strict=True)]
    return Halves(stages, up, network.conv_final)


@cut.register
def _(network: nets.MedNeXt) -> Halves:
    stages = [
        nn.Sequential(*pair)
        for pair in zip(network.down_blocks, [*network.enc_stages[1:], network.bottleneck], strict=True)
    ]
    up = [_AddSkip(*pair) for pair in zip(network.up_blocks, network.dec_stages, strict=True)]
    return Halves([nn.Sequential(network.stem, network.enc_stages[0]), *stages], up, network.out_0)


@cut.register
def _(network: nets.VNet) -> Halves:
    stages = [network.in_tr, network.down_tr32, network.down_tr64, network.down_tr128, network.down_tr256]
    return Halves(stages, [network.up_tr256, network.up_tr128, network.up_tr64, network.up_tr32], network.out_tr)


@cut.register
def _(network: nets.UNet) -> Halves:
    stages, up, level = [], [], network.model
    for _ in network.channels[1:]:
        down, skip, above = level
        stages.append(down)
        up.append(_ConcatenateSkip(above))
        level = skip.submodule
    return Halves([*stages, level], up[::-1], nn.Identity())


@cut.register
def _(network: nets.AttentionUnet) -> Halves:
    first, level, head = network.model
    stages, up = [first], [_AttendSkip(level)]
    for _ in network.channels[2:]:
        down, level = level.submodule
        stages.append(down)
        up.append(_AttendSkip(level))
    return Halves([*stages, level.submodule], up[::-1], head)


class _AddSkip(nn.Module):
    def __init__(self, up: nn.Module, merge: nn.Module) -> None:
        super().__init__()
        self.up, self.merge = up, merge

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        merged: Tensor = self.merge(self.up(x) + skip)
        return merged


class _ConcatenateSkip(nn.Module):
    def __init__(self, up: nn.Module) -> None:
        super().__init__()
        self.up = up

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        merged: Tensor = self.up(torch.cat([skip, x], dim=1))
        return merged


class _AttendSkip(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.up, self.attention, self.merge = layer.upconv, layer.attention, layer.merge

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        merged: Tensor = self.merge(torch.cat([self.attention(g=x, x=skip), x], dim=1))
        return merged


def _convolutions(stage: nn.Module) -> list[nn.Conv2d]:
    return [module for module in stage.modules() if isinstance(module, nn.Conv2d)]


def _stride(stage: nn.Module) -> int:
    """How much smaller a stage's output is than its input: a residual path has the stride of the main one."""
    strided = (module for module in stage.modules() if isinstance(module, nn.Conv2d | nn.MaxPool2d))
    return max(int(np.max(module.stride)) for module in strided)
