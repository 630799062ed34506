"""Unrolling a network over a clip."""

from typing import Any, Protocol

import torch
from torch import Tensor

from lexy.networks.propagation import Propagation, own_mask


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
    return free_running(network, network.start(frames[:, 0], mask), frames)


def free_running(network: Recurrence, state: Any, frames: Tensor) -> Tensor:
    """Logits, float32 (B, T, 1, H, W), of frames (B, T, 1, H, W) from a state of the network; no mask is given."""
    logits = []
    for frame in frames.unbind(dim=1):
        output, state = network.step(state, frame)
        logits.append(output.float())
    return torch.stack(logits, dim=1)


def one_step(network: Propagation, state: Any, frames: Tensor, masks: Tensor, labelled: Tensor) -> Tensor:
    """Logits from a state when each frame is given the true mask of the one before it.

    Parameters
    ----------
    network : Propagation
    state
        That the first frame starts from.
    frames, masks : Tensor, float (B, T, 1, H, W)
    labelled : Tensor, bool (B, T)
        After a frame without a mask the network's own is taken.

    Returns
    -------
    Tensor, float32 (B, T, 1, H, W)
    """
    logits: list[Tensor] = []
    for time, frame in enumerate(frames.unbind(dim=1)):
        if logits:
            known = labelled[:, time - 1, None, None, None]
            state = network.with_mask(state, torch.where(known, masks[:, time - 1], own_mask(network, logits[-1])))
        output, state = network.step(state, frame)
        logits.append(output.float())
    return torch.stack(logits, dim=1)
