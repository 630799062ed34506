"""Unrolling a network over a clip."""

from typing import Any, Protocol

import torch
from torch import Tensor


class Recurrence(Protocol):
    """What every network of the project is: a small state machine over frames."""

    def start(self, frame: Tensor, mask: Tensor | None = None) -> Any:
        """State before the first frame (B, 1, H, W), given its mask where the network wants one."""

    def step(self, state: Any, frame: Tensor) -> tuple[Tensor, Any]:
        """Logits (B, 1, H, W) of the next frame, and the state after it."""


def rollout(network: Recurrence, frames: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a network freely over clips, frame by frame.

    Parameters
    ----------
    network : Recurrence
    frames : Tensor, float (B, T, 1, H, W)
    mask : Tensor, float (B, 1, H, W), optional
        Mask of the first frame, for networks that start from one.

    Returns
    -------
    Tensor, float32 (B, T, 1, H, W)
        Logits.
    """
    state = network.start(frames[:, 0], mask)
    logits = []
    for frame in frames.unbind(dim=1):
        output, state = network.step(state, frame)
        logits.append(output.float())
    return torch.stack(logits, dim=1)
