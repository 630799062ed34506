"""What a backbone is, and the pieces that the published ones are built from."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Normalization = Literal["none", "batch", "group"]


class Backbone(nn.Module, ABC):
    """An encoder and the decoder that belongs to it.

    Networks are written against these two methods, so that each of them works with each backbone. A constructor takes
    `in_channels` (1 for a frame, 2 for a frame and a mask) and `branches`: how many encoded inputs are concatenated at
    the deepest map (2 for a Siamese network).

    Attributes
    ----------
    stride : int
        Height and width of the input must be multiples of it (`pad_to_multiple` sees to that).
    channels : tuple of int
        Of the features that `encode` gives, from shallow to deep.
    """

    stride: int
    channels: tuple[int, ...]

    @property
    def skips(self) -> range:
        """Levels of the features, but for the deepest, that `decode` reads."""
        return range(len(self.channels) - 1)

    @abstractmethod
    def encode(self, x: Tensor) -> list[Tensor]:
        """Return features from shallow to deep; the last one is what the bottleneck takes.

        Parameters
        ----------
        x : Tensor, float (B, in_channels, H, W)

        Returns
        -------
        list of Tensor
        """

    @abstractmethod
    def decode(self, features: Sequence[Tensor]) -> Tensor:
        """Return logits (B, 1, H, W) of features as of `encode`, the last with `branches` times its channels."""


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until height and width are multiples of `multiple`.

    Parameters
    ----------
    x : Tensor, float (B, C, H, W)
    multiple : int

    Returns
    -------
    Tensor, float (B, C, H', W')
        Crop what is computed from it with `[..., :H, :W]`.
    """
    bottom, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    return functional.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x


def _norm(normalization: Normalization, channels: int) -> list[nn.Module]:
    if normalization == "none":
        return []
    return [nn.BatchNorm2d(channels) if normalization == "batch" else nn.GroupNorm(math.gcd(8, channels), channels)]


def double_conv(inputs: int, outputs: int, normalization: Normalization = "none") -> nn.Sequential:
    """Two 3 × 3 convolutions with ReLU (published: without normalisation)."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers.append(nn.Conv2d(channels, outputs, 3, padding=1, bias=normalization == "none"))
        layers.extend(_norm(normalization, outputs))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class Decoder(nn.Module):
    """Bottleneck and published decoder: transposed convolution × 2, the skip beside it, two 3 × 3 convolutions.

    Parameters
    ----------
    deepest : int
        Channels of the map that enters the bottleneck.
    bottleneck : int
        Channels that leave it.
    skips : sequence of int
        Channels of the skip connections, from deep to shallow.
    widths : sequence of int
        Channels that each stage gives, from deep to shallow.
    normalization : {'none', 'batch', 'group'}
    """

    def __init__(
        self,
        deepest: int,
        bottleneck: int,
        skips: Sequence[int],
        widths: Sequence[int],
        normalization: Normalization = "none",
    ) -> None:
        super().__init__()
        self.bottleneck = double_conv(deepest, bottleneck, normalization)
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairwise([bottleneck, *widths]))
        self.merge = nn.ModuleList(
            double_conv(width + skip, width, normalization) for width, skip in zip(widths, skips, strict=True)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return the map of the shallowest stage from features from shallow to deep."""
        *skips, deepest = features
        x: Tensor = self.bottleneck(deepest)
        for up, merge, skip in zip(self.up, self.merge, reversed(skips), strict=True):
            x = merge(torch.cat([up(x), skip], dim=1))
        return x
