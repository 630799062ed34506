"""Any encoder of segmentation-models-pytorch, with its U-Net decoder."""

import difflib
from collections.abc import Sequence
from typing import Annotated

from annotated_types import Gt, Interval
from torch import Tensor

from lexy.errors import UserError
from lexy.networks.backbone import Backbone
from lexy.networks.weights import FirstConv, load_smp, set_in_channels


class SMP(Backbone):
    """An encoder of segmentation-models-pytorch (or of timm: `tu-` before its name) and smp's own U-Net decoder.

    Parameters
    ----------
    in_channels, branches : int
        See `Backbone`.
    encoder : str
        Its name in segmentation-models-pytorch, for example 'efficientnet-b0'.
    weights : str or None
        A name that smp knows for this encoder ('imagenet', ...; from the hub), the path of a local state dict, or None
        for random weights.
    first_conv : {'published', 'smp'}
        How the first convolution is re-made for 1 or 2 channels: see `lexy.networks.weights.set_in_channels`.
    depth : int
        Number of times that the resolution is halved.
    width : int
        Channels of the decoder's shallowest stage; each deeper one has twice as many.
    """

    def __init__(
        self,
        in_channels: Annotated[int, Gt(0)] = 1,
        branches: Annotated[int, Gt(0)] = 1,
        encoder: str = "resnet34",
        weights: str | None = None,
        first_conv: FirstConv = "smp",
        depth: Annotated[int, Interval(ge=3, le=5)] = 5,
        width: Annotated[int, Gt(0)] = 16,
    ) -> None:
        super().__init__()
        from segmentation_models_pytorch.base import SegmentationHead
        from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
        from segmentation_models_pytorch.encoders import get_encoder, get_encoder_names

        try:
            self.encoder = get_encoder(encoder, in_channels=3, depth=depth, weights=None)
        except (KeyError, RuntimeError) as error:  # timm's unknown names are RuntimeErrors
            near = difflib.get_close_matches(encoder, get_encoder_names(), n=3, cutoff=0.4)
            raise UserError(
                f"encoder={encoder!r} is not known to segmentation-models-pytorch. "
                f"Near it: {', '.join(near) or 'nothing'}. "
                "Names of timm's encoders start with 'tu-'."
            ) from error
        load_smp(self.encoder, encoder, weights)
        set_in_channels(self.encoder, in_channels, first_conv, pretrained=weights is not None)
        self.stride = 2**depth
        self.channels = tuple(self.encoder.out_channels)
        widths = [width * 2**level for level in range(depth)][::-1]
        deepest = branches * self.channels[-1]
        self.decoder = UnetDecoder(
            [*self.channels[:-1], deepest], widths, n_blocks=depth, add_center_block=encoder.startswith("vgg")
        )
        self.head = SegmentationHead(widths[-1], 1)

    @property
    def skips(self) -> range:
        """Levels that the decoder reads: not the first, which is as large as the input."""
        return range(1, len(self.channels) - 1)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return features from shallow to deep."""
        features: list[Tensor] = self.encoder(x)
        return features

    def decode(self, features: Sequence[Tensor]) -> Tensor:
        """Return logits (B, 1, H, W) from features."""
        logits: Tensor = self.head(self.decoder(features))
        return logits
