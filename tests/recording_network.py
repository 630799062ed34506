"""A network whose state and logits can be counted by hand."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lexy.networks.network import Recurrence


class Memory(NamedTuple):
    """Previous mask, reference frame and reference mask."""

    mask: Tensor
    frame: Tensor
    reference: Tensor


class Recording(Recurrence):
    """Logits = previous mask · weight + frame; it writes down what it was given in `seen` and in which mode."""

    needs_mask = True
    feeds_back = True

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.seen: list[Tensor] = []
        self.modes: list[tuple[bool, bool]] = []

    def start(self, frame, mask=None):
        return Memory(mask, frame, mask)

    def step(self, state, frame):
        self.seen.append(state.mask.detach().clone())
        self.modes.append((self.training, torch.is_grad_enabled()))
        logits = state.mask * self.weight + frame
        return logits, state._replace(mask=logits.sigmoid())

    def with_mask(self, state, mask):
        return state._replace(mask=mask)

    def feed_back(self, logits):
        return logits.sigmoid()


def clip(batch: int = 2, time: int = 6, size: int = 4) -> dict:
    """Clips whose frame t is the number t everywhere, with masks t / 100."""
    frames = torch.arange(float(time)).view(1, time, 1, 1, 1).expand(batch, -1, 1, size, size).clone()
    return {
        "frames": frames,
        "masks": frames / 100,
        "labelled": torch.ones(batch, time, dtype=torch.bool),
        "video": [f"v{i}" for i in range(batch)],
        "group": [f"g{i}" for i in range(batch)],
        "frame": torch.arange(time).expand(batch, -1),
    }
