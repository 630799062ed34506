"""U-Net: each frame by itself."""

from collections.abc import Callable

from torch import Tensor

from lexy.networks.backbone import Backbone, pad_to_multiple
from lexy.networks.network import FrameNetwork


class UNet(FrameNetwork):
    """Segment each frame by itself; the baseline of the study.

    Parameters
    ----------
    backbone : callable
        A `Backbone` class, or a `functools.partial` of one; called with `in_channels=1`.

    Examples
    --------
    >>> from functools import partial
    >>> from lexy.networks.vanilla import Vanilla
    >>> network = UNet(partial(Vanilla, width=8))
    """

    def __init__(self, backbone: Callable[..., Backbone]) -> None:
        super().__init__()
        self.backbone = backbone(in_channels=1)

    def forward(self, frame: Tensor) -> Tensor:
        """Return the logits (B, 1, H, W) of frames (B, 1, H, W), of any height and width."""
        height, width = frame.shape[-2:]
        features = self.backbone.encode(pad_to_multiple(frame, self.backbone.stride))
        return self.backbone.decode(features)[..., :height, :width]
