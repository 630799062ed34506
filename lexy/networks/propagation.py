"""What networks that pass a mask from frame to frame share."""

from typing import Any, Literal, Protocol

from torch import Tensor

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
