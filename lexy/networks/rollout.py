"""Unrolling networks over clips."""

import torch
from torch import Tensor

from lexy.networks.network import FOREGROUND, Network, Recurrence, State


def rollout(network: Network, frames: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a network freely over clips.

    Parameters
    ----------
    network : Network
    frames : Tensor, float (B, T, 1, H, W)
    mask : Tensor, float (B, 1, H, W), optional
        Mask of the first frame, for networks that start from one.

    Returns
    -------
    Tensor, float32 (B, T, 1, H, W)
        Logits of the foreground.
    """
    return network.maps(frames, network.start(frames[:, 0], mask))[FOREGROUND]


def one_step(network: Recurrence, state: State, frames: Tensor, masks: Tensor, labelled: Tensor) -> Tensor:
    """Run a recurrence over clips when each frame is given the true mask of the one before it.

    Parameters
    ----------
    network : Recurrence
    state
        That the first frame starts from.
    frames, masks : Tensor, float (B, T, 1, H, W)
    labelled : Tensor, bool (B, T)
        After a frame without a mask the network's own is taken.

    Returns
    -------
    Tensor, float32 (B, T, 1, H, W)
        Logits of the foreground.
    """
    logits: list[Tensor] = []
    for time, frame in enumerate(frames.unbind(dim=1)):
        if logits:
            known = labelled[:, time - 1, None, None, None]
            past = torch.where(known, masks[:, time - 1], network.feed_back(logits[-1]))
            state = network.with_mask(state, past)
        output, state = network.step(state, frame)
        logits.append(output.float())
    return torch.stack(logits, dim=1)
