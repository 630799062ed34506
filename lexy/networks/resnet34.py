"""The published ResNet34 backbone."""

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Gt, MultipleOf
from torch import Tensor, nn
from torch.nn import functional

from lexy.networks.backbone import Backbone, Decoder, Normalization
from lexy.networks.weights import FirstConv, load_torchvision, set_in_channels


class ResNet34(Backbone):
    """ResNet34 whose max-pool sits before the bottleneck instead of after the stem, as in the study.

    Scales: stem and layer 1 at 1/2, layers 2 to 4 at 1/4, 1/8, 1/16, bottleneck at 1/32. Skips come from layers 1 to 4.
    Head: transposed convolution 64→32, 1 × 1 32→32, ReLU, 1 × 1 32→1.

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
        Of the decoder; the study has none. The encoder keeps its batch normalisation.
    """

    stride = 32
    channels = (64, 128, 256, 512, 512)

    def __init__(
        self,
        in_channels: Annotated[int, Gt(0)] = 1,
        branches: Annotated[int, Gt(0)] = 1,
        weights: str | None = None,
        first_conv: FirstConv = "published",
        bottleneck: Annotated[int, Gt(0), MultipleOf(32)] = 1024,
        normalization: Normalization = "none",
    ) -> None:
        super().__init__()
        from torchvision.models import ResNet34_Weights, resnet34

        model = resnet34(weights=None)
        load_torchvision(model, weights, ResNet34_Weights.IMAGENET1K_V1.url)
        set_in_channels(model, in_channels, first_conv, pretrained=weights is not None)
        self.stem = nn.Sequential(model.conv1, model.bn1, model.relu)
        self.layers = nn.ModuleList([model.layer1, model.layer2, model.layer3, model.layer4])
        widths = [bottleneck // 2**level for level in range(1, 5)]
        self.decoder = Decoder(branches * self.channels[-1], bottleneck, self.channels[-2::-1], widths, normalization)
        half = widths[-1] // 2
        self.head = nn.Sequential(
            nn.ConvTranspose2d(widths[-1], half, 2, stride=2),
            nn.Conv2d(half, half, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, 1, 1),
        )

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return features from shallow to deep."""
        x = self.stem(x)
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return [*features, functional.max_pool2d(x, 2)]

    def decode(self, features: Sequence[Tensor]) -> Tensor:
        """Return logits (B, 1, H, W) from features."""
        logits: Tensor = self.head(self.decoder(features))
        return logits
