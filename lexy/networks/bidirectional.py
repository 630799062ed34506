"""Propagation from both bright ends of a clip: offline, for it looks ahead."""

import torch
from torch import Tensor

from lexy.images.nc_ratio import start_score
from lexy.networks.network import FOREGROUND, Network, State
from lexy.networks.rollout import rollout


def propagate_both_ways(
    network: Network,
    frames: Tensor,
    state: State,
    last_mask: Tensor,
    last: Tensor | None = None,
    found: Tensor | None = None,
) -> Tensor:
    """Run a network forward from its start and backward from a late one, and average the logits.

    LEXY leaves the nucleus and comes back: both ends of a video are bright, and what is dark in between is then nowhere
    farther than half the video from a mask that can be relied on.

    Parameters
    ----------
    network : Network
    frames : Tensor, float (B, T, 1, H, W)
    state
        Of the network before frame 0: `network.start(frames[:, 0], mask)`.
    last_mask : Tensor, float (B, 1, H, W)
        Mask of frame `last`.
    last : Tensor, int64 (B), optional
        The frame of each clip that `last_mask` belongs to; the last one if left out. `bright_end` finds both.
    found : Tensor, bool (B), optional
        Clips that have such a mask; the others are run forward alone. All of them if left out.

    Returns
    -------
    Tensor, float32 (B, T, 1, H, W)
        Logits, weighed by the distance to each end: forward alone in frame 0, backward alone in frame `last`. After
        `last` they are those of a run forward from it.
    """
    time = frames.shape[1]
    steps = torch.arange(time, device=frames.device)
    last = torch.full_like(steps[:1].expand(len(frames)), time - 1) if last is None else last
    forward = network.maps(frames, state)[FOREGROUND]
    # Position k of a reversed clip is frame last - k; and back again. What lies beyond an end repeats that end.
    order = (last[:, None] - steps).clamp(min=0)
    backward = _ordered(rollout(network, _ordered(frames, order), last_mask), order)
    if bool((last < time - 1).any()):
        order = (last[:, None] + steps).clamp(max=time - 1)
        onward = rollout(network, _ordered(frames, order), last_mask)
        after = _ordered(onward, (steps - last[:, None]).clamp(min=0))
        backward = torch.where(_wide(steps > last[:, None]), after, backward)
    weight = (steps / last[:, None].clamp(min=1)).clamp(max=1)
    weight = weight if found is None else weight * found[:, None]
    return torch.lerp(forward, backward, _wide(weight))


def bright_end(network: Network, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where in the second half of each clip a frame network is most confident, and its mask there.

    Parameters
    ----------
    network : Network
        Needs no mask, for example a U-Net.
    frames : Tensor, float (B, T, 1, H, W)

    Returns
    -------
    last : Tensor, int64 (B)
        Frame with the greatest score (`lexy.images.nc_ratio.start_score`).
    mask : Tensor, float (B, 1, H, W)
        Its probabilities.
    found : Tensor, bool (B)
        Whether there is a pixel of 0.5 and contrast in it. Where not, `last` and `mask` say nothing.
    """
    half = frames.shape[1] // 2
    late = frames[:, half:]
    probability = rollout(network, late).sigmoid()
    score, best = start_score(late.flatten(0, 1), probability.flatten(0, 1)).view(late.shape[:2]).max(dim=1)
    return best + half, probability[torch.arange(len(best), device=best.device), best], score > 0


def _ordered(clips: Tensor, order: Tensor) -> Tensor:
    """Frames (B, T, …) of each clip in its own order (B, T)."""
    return clips[torch.arange(len(clips), device=clips.device)[:, None], order]


def _wide(values: Tensor) -> Tensor:
    return values[:, :, None, None, None]
