"""From a network and clips to logits: forward in time, or from both ends."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lexy.clip import Clip
from lexy.networks.bidirectional import bright_end, propagate_both_ways
from lexy.networks.propagation import frame_network, needs_mask
from lexy.networks.rollout import free_running, one_step
from lexy.tasks.starts import Start, started

PIXELS = 2**15  # of a frame of all clips that a CPU works on at once, so that they stay in its cache


class Direction(Protocol):
    """How time is walked; tables have its `name`."""

    name: str

    def __call__(self, network: Any, clip: Clip, start: Start) -> Tensor:
        """Logits, float32 (B, T, 1, H, W)."""


class Forward:
    """From the first frame to the last, each seen once: what can be done while a video is being taken."""

    name = "free-running"

    def __call__(self, network: Any, clip: Clip, start: Start) -> Tensor:
        """See `Direction`."""
        return free_running(network, started(network, clip, start), clip["frames"])


class BothWays:
    """From the start forward and from the second bright end backward (see `propagate_both_ways`): looks ahead.

    Where the frame network finds nothing in the second half of a clip, that clip is run forward alone.

    Parameters
    ----------
    network : Module
        A trained frame network, which finds that end and its mask; ValueError if it needs one itself.
    """

    name = "free-running from both ends"

    def __init__(self, network: nn.Module) -> None:
        self.network = frame_network(network)

    def __call__(self, network: Any, clip: Clip, start: Start) -> Tensor:
        """See `Direction`."""
        frames = clip["frames"]
        last, mask, found = bright_end(self.network.to(frames.device), frames)
        return propagate_both_ways(network, frames, started(network, clip, start), mask, last, found)


class Predictor:
    """A network with the way it starts and walks.

    Parameters
    ----------
    network : Module or baseline
        With `start` and `step`.
    start : Start
    direction : Direction
    device : device or str
    """

    def __init__(self, network: Any, start: Start, direction: Direction, device: torch.device | str = "cpu") -> None:
        if isinstance(network, nn.Module):  # the memory format of training would change the last digits
            network = network.eval().to(device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.network, self.start, self.direction, self.device = network, start, direction, device

    def __call__(self, clip: Clip) -> Tensor:
        """Logits (B, T, 1, H, W) on the CPU; no frame but the first is told its truth."""
        return torch.cat([self.direction(self.network, part, self.start).cpu() for part in self._parts(clip)])

    def one_step(self, clip: Clip) -> Tensor:
        """Likewise, each frame given the true mask of the frame before."""
        return torch.cat([self._one_step(part).cpu() for part in self._parts(clip)])

    @property
    def carries_mask(self) -> bool:
        """Whether the network starts from a mask."""
        return needs_mask(self.network)

    @property
    def feeds_back(self) -> bool:
        """Whether a one-step figure says something: masks are passed on, forward in time."""
        passes_on = getattr(self.network, "feeds_back", True)
        return self.carries_mask and passes_on and isinstance(self.direction, Forward)

    def _one_step(self, clip: Clip) -> Tensor:
        state = started(self.network, clip, self.start)
        return one_step(self.network, state, clip["frames"], clip["masks"], clip["labelled"])

    def _parts(self, clip: Clip) -> list[Clip]:
        count, size = len(clip["video"]), len(clip["video"])
        if torch.device(self.device).type == "cpu":
            size = max(1, PIXELS // clip["frames"][0, 0, 0].numel())
        return [_moved(clip, slice(first, first + size), self.device) for first in range(0, count, size)]


def _moved(clip: Clip, rows: slice, device: torch.device | str) -> Clip:
    return {key: value[rows].to(device) if isinstance(value, Tensor) else value[rows] for key, value in clip.items()}  # type: ignore[return-value,index]
