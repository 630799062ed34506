"""What networks that pass a mask from frame to frame share."""

from typing import Literal

from torch import Tensor, nn

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
