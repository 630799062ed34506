"""Move-Net: moves the first mask to where the nucleus is now, and refines it there."""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional

from lexy.networks.backbone import Backbone, pad_to_multiple
from lexy.networks.network import Recurrence
from lexy.networks.propagation import first_mask, mask_of

REACH = 0.3  # longest move of a pass along each axis, half image sizes
CERTAIN = 0.98  # the probability that the anchor is not believed beyond, so that evidence against it is heard
SOFT = 3  # pixels of the box, applied twice, that softens the anchor's outline: only a slope has a gradient


class Anchor(NamedTuple):
    """The first frame, its mask, and the logits of that mask, softened; (B, 1, H, W) each."""

    frame: Tensor
    mask: Tensor
    logits: Tensor


class MoveNet(Recurrence):
    """A smooth flow field moves the first mask to the current frame, and what the decoder sees there is added.

    logits = keep · moved anchor logits + gain · decoder(frame, moved anchor frame, moved anchor mask)

    Each frame is registered to the *first* one, whatever became of those in between: there is nothing that could drift,
    and a one-step figure is the free-running one. A mask that is moved keeps its shape where nothing can be seen. The
    encoder's deepest map gives the control points of the flow, as in registration by a spatial transformer (Jaderberg
    et al. 2015, arXiv:1506.02025; VoxelMorph, Balakrishnan et al. 2019, arXiv:1809.05231). The flow starts at zero and
    the correction small, so that an untrained network is about the copied mask. To be trained on clips, unrolled, with
    windows that reach far from their first frame (`skip`).

    Parameters
    ----------
    backbone : callable
        A `Backbone` class, or a `functools.partial` of one; called with `in_channels=3`.
    passes : int
        How often the encoder looks: after the first time at the anchor as it was moved by then, for what is left.
    """

    needs_mask = True

    def __init__(self, backbone: Callable[..., Backbone], passes: Annotated[int, Gt(0)] = 2) -> None:
        super().__init__()
        self.passes = passes
        self.backbone = backbone(in_channels=3)
        self.flow = nn.Conv2d(self.backbone.channels[-1], 2, 1)
        self.keep = nn.Parameter(torch.tensor(1.0))
        self.gain = nn.Parameter(torch.tensor(0.3))
        for parameter in self.flow.parameters():
            nn.init.zeros_(parameter)

    def forward(self, frame: Tensor, anchor: Anchor) -> Tensor:
        """Return the logits (B, 1, H, W) of frames (B, 1, H, W)."""
        height, width = frame.shape[-2:]
        frame, *parts = (pad_to_multiple(part, self.backbone.stride) for part in (frame, *anchor))
        there = torch.cat([part.float() for part in parts[:2]], dim=1)
        flow = torch.zeros(len(frame), 2, 1, 1, device=frame.device)
        for _ in range(self.passes):
            x = torch.cat([frame, warped(there, flow).to(frame.dtype)], dim=1)
            features = self.backbone.encode(x)
            flow = flow + REACH * self.flow(features[-1]).float().tanh()
        correction = self.backbone.decode(features).float()
        return (self.keep * warped(parts[2], flow) + self.gain * correction)[..., :height, :width]

    def start(self, frame: Tensor, mask: Tensor | None = None) -> Anchor:
        """Return the anchor, the first frame with its mask; ValueError without a mask."""
        mask = first_mask(frame, mask, "Move-Net")
        return Anchor(frame, mask, torch.logit(_softened(mask.float()), eps=1 - CERTAIN))

    def step(self, state: Anchor, frame: Tensor) -> tuple[Tensor, Anchor]:
        """Return the logits of this frame, and the same state."""
        return self(frame, state), state

    def with_mask(self, state: Anchor, mask: Tensor) -> Anchor:
        """Return the same state: only the first mask counts."""
        return state

    def feed_back(self, logits: Tensor) -> Tensor:
        """Return probabilities; nothing looks at them."""
        return mask_of(logits, "soft")


def warped(images: Tensor, flow: Tensor) -> Tensor:
    """Sample images where a flow points to.

    Parameters
    ----------
    images : Tensor, float32 (B, C, H, W)
    flow : Tensor, float32 (B, 2, h, w)
        Control points of a bicubic field: how far to the right and down of a pixel its value lies, half image sizes.

    Returns
    -------
    Tensor, float32 (B, C, H, W)
        Bilinear; the border is repeated.
    """
    height, width = images.shape[-2:]
    field = functional.interpolate(flow, (height, width), mode="bicubic", align_corners=False).movedim(1, -1)
    columns, rows = ((2 * torch.arange(n, device=images.device) + 1) / n - 1 for n in (width, height))
    here = torch.stack([columns.expand(height, -1), rows[:, None].expand(-1, width)], dim=-1)
    return functional.grid_sample(images, here + field, padding_mode="border", align_corners=False)


def _softened(mask: Tensor) -> Tensor:
    for _ in range(2):
        mask = functional.avg_pool2d(mask, SOFT, 1, SOFT // 2, count_include_pad=False)
    return mask
