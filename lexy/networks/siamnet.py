"""Siam-Net: the frame with the previous mask, beside a reference frame with its mask."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from lexy.images.nc_ratio import mask_contrast
from lexy.networks.backbone import Backbone, pad_to_multiple
from lexy.networks.network import Recurrence
from lexy.networks.propagation import Feedback, first_mask, mask_of

Features = tuple[Tensor, ...]


class SiamState(NamedTuple):
    """Previous mask (B, 1, H, W), features of the reference, and the reference's contrast (B,)."""

    previous: Tensor
    reference: Features
    contrast: Tensor


class SiamNet(Recurrence):
    """One encoder for (frame, previous mask) and (reference frame, reference mask); the study's second network.

    Parameters
    ----------
    backbone : callable
        A `Backbone` class, or a `functools.partial` of one; called with `in_channels=2` and `branches=2`.
    feedback : {'hard', 'soft'}
        What the next frame sees: the mask cut at 0.5 (published), or probabilities with their gradient.
    join : {'bottleneck', 'all'}
        Where the two meet: concatenated at the deepest map, with skips from the current frame alone (published); or
        also at every skip, by a 1 × 1 convolution that starts as the current frame's alone.
    reference : {'first', 'contrast'}
        The first frame and the mask that the clip starts from (published), encoded once; or of the frames so far
        the one whose mask stands out most (`mask_contrast`), with the mask that the network gave it, which costs a
        second pass of the encoder in each step.
    """

    needs_mask = True
    feeds_back = True

    def __init__(
        self,
        backbone: Callable[..., Backbone],
        feedback: Feedback = "hard",
        join: Literal["bottleneck", "all"] = "bottleneck",
        reference: Literal["first", "contrast"] = "first",
    ) -> None:
        super().__init__()
        self.backbone = backbone(in_channels=2, branches=2)
        self.feedback, self.reference = feedback, reference
        self.joins = nn.ModuleDict()
        if join == "all":
            self.joins.update({str(level): _join(self.backbone.channels[level]) for level in self.backbone.skips})

    def encode(self, frame: Tensor, mask: Tensor) -> Features:
        """Return the features of frames (B, 1, H, W) with their masks (B, 1, H, W)."""
        return tuple(self.backbone.encode(pad_to_multiple(torch.cat([frame, mask], dim=1), self.backbone.stride)))

    def decode(self, current: Features, reference: Features) -> Tensor:
        """Return the logits of what `encode` gave; as large as its padded input."""
        skips = list(current[:-1])
        for level, join in self.joins.items():
            both = torch.cat([current[int(level)], reference[int(level)]], dim=1)
            skips[int(level)] = join(both)
        return self.backbone.decode([*skips, torch.cat([current[-1], reference[-1]], dim=1)])

    def forward(self, frame: Tensor, previous: Tensor, reference_frame: Tensor, reference_mask: Tensor) -> Tensor:
        """Return the logits (B, 1, H, W); all inputs are (B, 1, H, W)."""
        height, width = frame.shape[-2:]
        return self.decode(self.encode(frame, previous), self.encode(reference_frame, reference_mask))[
            ..., :height, :width
        ]

    def start(self, frame: Tensor, mask: Tensor | None = None) -> SiamState:
        """Encode the first frame and its mask as the reference; ValueError without a mask."""
        mask = first_mask(frame, mask, "Siam-Net")
        return SiamState(mask, self.encode(frame, mask), mask_contrast(frame, mask))

    def step(self, state: SiamState, frame: Tensor) -> tuple[Tensor, SiamState]:
        """Return the logits of this frame, and the state with its mask."""
        height, width = frame.shape[-2:]
        logits = self.decode(self.encode(frame, state.previous), state.reference)[..., :height, :width]
        state = state._replace(previous=self.feed_back(logits))
        return logits, self._renewed(state, frame) if self.reference == "contrast" else state

    def with_mask(self, state: SiamState, mask: Tensor) -> SiamState:
        """Return the state with another previous mask; the reference stays."""
        return state._replace(previous=mask.to(state.previous.dtype))

    def feed_back(self, logits: Tensor) -> Tensor:
        """Return the mask that the next frame sees, hard or soft."""
        return mask_of(logits, self.feedback)

    def _renewed(self, state: SiamState, frame: Tensor) -> SiamState:
        """The state with this frame as the reference of the clips in which no frame so far stood out more."""
        contrast = mask_contrast(frame, state.previous)
        better = (contrast > state.contrast)[:, None, None, None]
        new = self.encode(frame, state.previous)
        reference = tuple(torch.where(better, one, old) for one, old in zip(new, state.reference, strict=True))
        return SiamState(state.previous, reference, torch.maximum(contrast, state.contrast))


def _join(channels: int) -> nn.Conv2d:
    join = nn.Conv2d(2 * channels, channels, 1)
    with torch.no_grad():
        join.weight.copy_(torch.eye(channels, 2 * channels)[:, :, None, None])
    nn.init.zeros_(join.bias)  # type: ignore[arg-type]
    return join
