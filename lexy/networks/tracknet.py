"""Track-Net: the frame with the mask of the frame before it."""

from collections.abc import Callable

import torch
from torch import Tensor

from lexy.networks.backbone import Backbone, pad_to_multiple
from lexy.networks.network import Recurrence
from lexy.networks.propagation import Feedback, first_mask, mask_of


class TrackNet(Recurrence):
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
    feeds_back = True

    def __init__(self, backbone: Callable[..., Backbone], feedback: Feedback = "hard") -> None:
        super().__init__()
        self.backbone = backbone(in_channels=2)
        self.feedback = feedback

    def forward(self, frame: Tensor, previous: Tensor) -> Tensor:
        """Return the logits (B, 1, H, W) of frames (B, 1, H, W), given masks (B, 1, H, W) in [0, 1]."""
        height, width = frame.shape[-2:]
        x = pad_to_multiple(torch.cat([frame, previous], dim=1), self.backbone.stride)
        return self.backbone.decode(self.backbone.encode(x))[..., :height, :width]

    def start(self, frame: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the mask as the state; ValueError without one."""
        return first_mask(frame, mask, "Track-Net")

    def step(self, state: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of this frame, and the mask fed back."""
        logits = self(frame, state)
        return logits, self.feed_back(logits)

    def with_mask(self, state: Tensor, mask: Tensor) -> Tensor:
        """Return the mask as the state."""
        return mask.to(state.dtype)

    def feed_back(self, logits: Tensor) -> Tensor:
        """Return the mask that the next frame sees, hard or soft."""
        return mask_of(logits, self.feedback)
