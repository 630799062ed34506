"""What networks that pass a mask from frame to frame share."""

from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

Feedback = Literal["soft", "hard"]


class Propagation(Protocol):
    """A network whose state holds the mask of the last frame; the others take one too, and do not look at it."""

    def start(self, frame: Tensor, mask: Tensor | None = None) -> Any:
        """See `lexy.networks.rollout.Recurrence.start`."""

    def step(self, state: Any, frame: Tensor) -> tuple[Tensor, Any]:
        """See `lexy.networks.rollout.Recurrence.step`."""

    def with_mask(self, state: Any, mask: Tensor) -> Any:
        """The state as if `mask`, (B, 1, H, W) in [0, 1], had been the network's own for the last frame.

        For teacher forcing and one-step evaluation (the true mask), scheduled sampling, and fusion.
        """


def needs_mask(network: Any) -> bool:
    """Whether `start` wants the mask of the first frame; a network says so by its attribute of this name."""
    return getattr(network, "needs_mask", False)


def frame_network(network: Any) -> Any:
    """The network itself, in evaluation mode, if it needs no mask.

    Raises
    ------
    ValueError
        It does.
    """
    if needs_mask(network):
        raise ValueError(f"{type(network).__name__} carries a mask; give a network that needs none, such as a U-Net")
    return network.eval()


def feed_back(logits: Tensor, feedback: Feedback) -> Tensor:
    """The mask that the next step sees: probabilities with their gradient, or, as published, 0 and 1 cut at 0.5."""
    return logits.float().sigmoid() if feedback == "soft" else (logits >= 0).float()


def own_mask(network: Any, logits: Tensor) -> Tensor:
    """What `network` feeds back of its logits; its attribute `feedback` says how, soft if it has none."""
    return feed_back(logits, getattr(network, "feedback", "soft"))


def first_mask(frame: Tensor, mask: Tensor | None, network: str) -> Tensor:
    """The mask to start from, in the frame's type.

    Raises
    ------
    ValueError
        There is none.
    """
    if mask is None:
        raise ValueError(f"{network} starts from a mask of the first frame: give one")
    return mask.to(frame.dtype)


def detached(state: Any) -> Any:
    """The same state without its history, so that no gradient flows back through it.

    Parameters
    ----------
    state : Tensor or (named) tuple of states
    """
    if isinstance(state, Tensor):
        return state.detach()
    parts = [detached(part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def mask_contrast(frames: Tensor, masks: Tensor, inner: int = 2, outer: int = 6) -> Tensor:
    """How far a soft mask is from its surroundings in brightness, without knowing the truth.

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
