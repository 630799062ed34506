"""The published VGG16 backbone."""

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Gt, MultipleOf
from torch import Tensor, nn
from torch.nn import functional

from lexy.networks.backbone import Backbone, Decoder, Normalization
from lexy.networks.weights import FirstConv, load_torchvision, set_in_channels


class VGG16(Backbone):
    """The five stages of VGG16, a bottleneck of 1024 and a decoder 1024-512-256-128-64, as in the study.

    Parameters
    ----------
    in_channels, branches : int
        See `Backbone`.
    weights : str or None
        'imagenet' (from the hub), the path of a local state dict, or None for random weights.
    first_conv : {'published', 'smp'}
        How the first convolution is re-made for 1 or 2 channels: see `lexy.networks.weights.set_in_channels`.
    bottleneck : int
        Channels of the bottleneck; those of the decoder follow from it.
    normalization : {'none', 'batch', 'group'}
        Of the decoder; the study has none.
    """

    stride = 32
    channels = (64, 128, 256, 512, 512, 512)

    def __init__(
        self,
        in_channels: Annotated[int, Gt(0)] = 1,
        branches: Annotated[int, Gt(0)] = 1,
        weights: str | None = None,
        first_conv: FirstConv = "published",
        bottleneck: Annotated[int, Gt(0), MultipleOf(16)] = 1024,
        normalization: Normalization = "none",
    ) -> None:
        super().__init__()
        from torchvision.models import VGG16_Weights, vgg16

        model = vgg16(weights=None)
        load_torchvision(model, weights, VGG16_Weights.IMAGENET1K_V1.url)
        set_in_channels(model.features, in_channels, first_conv, pretrained=weights is not None)
        layers = list(model.features)
        pools = [index for index, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        starts = [0, *(pool + 1 for pool in pools)]
        self.stages = nn.ModuleList(
            nn.Sequential(*layers[start:pool]) for start, pool in zip(starts, pools, strict=False)
        )
        widths = [bottleneck // 2**level for level in range(5)]
        self.decoder = Decoder(branches * self.channels[-1], bottleneck, self.channels[-2::-1], widths, normalization)
        self.head = nn.Conv2d(widths[-1], 1, 1)

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
