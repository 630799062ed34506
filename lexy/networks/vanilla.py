"""The published vanilla backbone."""

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Gt, Interval
from torch import Tensor, nn
from torch.nn import functional

from lexy.networks.backbone import Backbone, Decoder, Normalization, double_conv


class Vanilla(Backbone):
    """U-Net encoder and decoder without pretraining; 64-128-256-512 and a bottleneck of 1024 in the study.

    Parameters
    ----------
    in_channels, branches : int
        See `Backbone`.
    width : int
        Channels of the first stage; each deeper one has twice as many.
    depth : int
        Number of times that the resolution is halved.
    normalization : {'none', 'batch', 'group'}
        The study has none.
    """

    def __init__(
        self,
        in_channels: Annotated[int, Gt(0)] = 1,
        branches: Annotated[int, Gt(0)] = 1,
        width: Annotated[int, Gt(0)] = 64,
        depth: Annotated[int, Interval(ge=1, le=6)] = 4,
        normalization: Normalization = "none",
    ) -> None:
        super().__init__()
        self.stride = 2**depth
        widths = [width * 2**level for level in range(depth)]
        self.channels = (*widths, widths[-1])
        self.stages = nn.ModuleList(
            double_conv(inputs, outputs, normalization)
            for inputs, outputs in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        deep_first = widths[::-1]
        self.decoder = Decoder(branches * widths[-1], 2 * widths[-1], deep_first, deep_first, normalization)
        self.head = nn.Conv2d(width, 1, 1)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return features from shallow to deep."""
        features = []
        for stage in self.stages:
            features.append(stage(x))
            x = functional.max_pool2d(features[-1], 2)
        return [*features, x]

    def decode(self, features: Sequence[Tensor]) -> Tensor:
        """Return logits (B, 1, H, W) from features."""
        logits: Tensor = self.head(self.decoder(features))
        return logits
