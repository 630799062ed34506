"""Track-Net: the frame with the mask of the frame before it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lexy.networks.backbone import Backbone, pad_to_multiple
from lexy.networks.propagation import Feedback, feed_back, first_mask


class TrackNet(nn.Module):
    """Segment a frame given the mask of the one before; the study's first temporal network.

    The first frame is segmented too, with the mask it starts from as the previous one (published).

    Parameters
    ----------
    backbone : callable
        A `Backbone` class, or a `functools.partial` of one; called with `in_channels=2`.
    feedback : {'hard', 'soft'}
        What the next frame sees: the mask cut at 0.5 (published), or probabilities with their gradient.
    """

    needs_mask = True

    def __init__(self, backbone: Callable[..., Backbone], feedback: Feedback = "hard") -> None:
        super().__init__()
        self.backbone = backbone(in_channels=2)
        self.feedback = feedback

    def forward(self, frame: Tensor, previous: Tensor) -> Tensor:
        """Logits (B, 1, H, W) of frames (B, 1, H, W), given masks (B, 1, H, W) in [0, 1]."""
        height, width = frame.shape[-2:]
        x = pad_to_multiple(torch.cat([frame, previous], dim=1), self.backbone.stride)
        return self.backbone.decode(self.backbone.encode(x))[..., :height, :width]

    def start(self, frame: Tensor, mask: Tensor | None = None) -> Tensor:
        """The state is the previous mask; ValueError without one."""
        return first_mask(frame, mask, "Track-Net")

    def step(self, state: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of this frame, and the mask fed back."""
        logits = self(frame, state)
        return logits, feed_back(logits, self.feedback)

    def with_mask(self, state: Tensor, mask: Tensor) -> Tensor:
        """See `Propagation.with_mask`."""
        return mask.to(state.dtype)
