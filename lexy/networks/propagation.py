"""What networks that pass a mask from frame to frame share."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lexy.networks.network import Recurrence, State

Feedback = Literal["soft", "hard"]


def frame_network(network: nn.Module) -> Recurrence:
    """Return the network itself, in evaluation mode, if it sees frames one by one and needs no mask.

    Raises
    ------
    ValueError
        It needs a mask, or all frames of a clip.
    """
    if not isinstance(network, Recurrence) or network.needs_mask:
        why = "carries a mask" if isinstance(network, Recurrence) else "does not see frames one by one"
        raise ValueError(f"{type(network).__name__} {why}; give a network that needs none, such as a U-Net")
    return network.eval()


def mask_of(logits: Tensor, feedback: Feedback) -> Tensor:
    """Return the mask that the next step sees: probabilities with their gradient, or, as published, cut at 0.5."""
    return logits.float().sigmoid() if feedback == "soft" else (logits >= 0).float()


def first_mask(frame: Tensor, mask: Tensor | None, network: str) -> Tensor:
    """Return the mask to start from, in the frame's type.

    Raises
    ------
    ValueError
        There is none.
    """
    if mask is None:
        raise ValueError(f"{network} starts from a mask of the first frame: give one")
    return mask.to(frame.dtype)


def detached(state: State) -> State:
    """Return the same state without its history, so that no gradient flows back through it.

    Parameters
    ----------
    state : Tensor or (named) tuple of states
    """
    if isinstance(state, Tensor):
        return state.detach()
    parts = [detached(part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def mask_contrast(frames: Tensor, masks: Tensor, inner: int = 2, outer: int = 6) -> Tensor:
    """Measure how far a soft mask is from its surroundings in brightness, without knowing the truth.

    Parameters
    ----------
    frames, masks : Tensor, float (B, 1, H, W)
        Masks in [0, 1].
    inner, outer : int
        The surroundings are what a box of 2 · outer + 1 pixels adds to the mask, but not one of 2 · inner + 1.

    Returns
    -------
    Tensor, float (B,)
        |nucleus − ring| / (nucleus + ring), means above the frame's darkest pixel; 0 where mask or ring is empty.
    """
    frames, masks = frames.float(), masks.float()
    frames = frames - frames.amin(dim=(2, 3), keepdim=True)
    ring = _dilated(masks, outer) - _dilated(masks, inner)
    nucleus_mean, ring_mean = ((frames * weight).sum((1, 2, 3)) / _mass(weight) for weight in (masks, ring))
    difference = (nucleus_mean - ring_mean).abs() / (nucleus_mean + ring_mean).clamp(min=1e-6)
    return difference * ((masks.sum((1, 2, 3)) > 0.5) & (ring.sum((1, 2, 3)) > 0.5))


def _dilated(masks: Tensor, radius: int) -> Tensor:
    size = 2 * radius + 1
    wide = functional.max_pool2d(masks, (1, size), 1, (0, radius))
    return functional.max_pool2d(wide, (size, 1), 1, (radius, 0))


def _mass(weight: Tensor) -> Tensor:
    return weight.sum((1, 2, 3)).clamp(min=torch.finfo(weight.dtype).tiny)
