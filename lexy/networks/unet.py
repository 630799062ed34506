"""U-Net: each frame by itself."""

from collections.abc import Callable

from torch import Tensor, nn

from lexy.networks.backbone import Backbone, pad_to_multiple


class UNet(nn.Module):
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
        """Logits (B, 1, H, W) of frames (B, 1, H, W), of any height and width."""
        height, width = frame.shape[-2:]
        features = self.backbone.encode(pad_to_multiple(frame, self.backbone.stride))
        return self.backbone.decode(features)[..., :height, :width]

    def start(self, frame: Tensor, mask: Tensor | None = None) -> tuple[()]:
        """A U-Net remembers nothing: frame and mask are not looked at."""
        return ()

    def step(self, state: tuple[()], frame: Tensor) -> tuple[Tensor, tuple[()]]:
        """Logits of this frame, and the same empty state."""
        return self(frame), state

    def with_mask(self, state: tuple[()], mask: Tensor) -> tuple[()]:
        """The same empty state: so a U-Net can be trained in every way that the networks with a memory are."""
        return state
