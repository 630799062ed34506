"""From a network and clips to its maps: forward in time, or from both ends."""

from typing import Protocol

import torch
from torch import Tensor, nn

from lexy.clip import Clip
from lexy.networks.bidirectional import bright_end, propagate_both_ways
from lexy.networks.network import FOREGROUND, Maps, Network, Recurrence
from lexy.networks.propagation import frame_network
from lexy.networks.rollout import one_step
from lexy.tasks.starts import Start, started

PIXELS = 2**15  # of a frame of all clips that a CPU works on at once, so that they stay in its cache


class Direction(Protocol):
    """How time is walked; tables have its `name`."""

    name: str

    def __call__(self, network: Network, clip: Clip, start: Start) -> Maps:
        """Return the maps of clips, float32 (B, T, C, H, W) each; see `Network.maps`."""


class Forward:
    """From the first frame to the last, each seen once: what can be done while a video is being taken."""

    name = "free-running"

    def __call__(self, network: Network, clip: Clip, start: Start) -> Maps:
        """Return the maps that the network gives of clips, started once."""
        return network.maps(clip["frames"], started(network, clip, start))


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

    def __call__(self, network: Network, clip: Clip, start: Start) -> Maps:
        """Return the foreground of clips, run forward and backward."""
        frames = clip["frames"]
        last, mask, found = bright_end(self.network.to(frames.device), frames)
        state = started(network, clip, start)
        return {FOREGROUND: propagate_both_ways(network, frames, state, mask, last, found)}


class Predictor:
    """A network with the way it starts and walks.

    Parameters
    ----------
    network : Network
    start : Start
    direction : Direction
    device : device or str
    """

    def __init__(
        self, network: Network, start: Start, direction: Direction, device: torch.device | str = "cpu"
    ) -> None:
        # The memory format of training would change the last digits.
        self.network: Network = network.eval().to(device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.start, self.direction, self.device = start, direction, device

    def __call__(self, clip: Clip) -> Tensor:
        """Return the logits of the foreground, (B, T, 1, H, W), on the CPU; see `maps`."""
        return self.maps(clip)[FOREGROUND]

    def maps(self, clip: Clip) -> Maps:
        """Return the maps of clips, on the CPU; no frame but the first is told its truth."""
        parts = [self.direction(self.network, part, self.start) for part in self._parts(clip)]
        return {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}

    def one_step(self, clip: Clip) -> Tensor:
        """Return the logits when each frame is given the true mask of the frame before; for recurrences alone."""
        return torch.cat([self._one_step(part).cpu() for part in self._parts(clip)])

    @property
    def carries_mask(self) -> bool:
        """Whether the network starts from a mask."""
        return self.network.needs_mask

    @property
    def feeds_back(self) -> bool:
        """Whether a one-step figure says something: masks are passed on, forward in time."""
        passes_on = isinstance(self.network, Recurrence) and self.network.feeds_back
        return passes_on and isinstance(self.direction, Forward)

    def _one_step(self, clip: Clip) -> Tensor:
        assert isinstance(self.network, Recurrence)
        state = started(self.network, clip, self.start)
        return one_step(self.network, state, clip["frames"], clip["masks"], clip["labelled"])

    def _parts(self, clip: Clip) -> list[Clip]:
        count, size = len(clip["video"]), len(clip["video"])
        if torch.device(self.device).type == "cpu":
            size = max(1, PIXELS // clip["frames"][0, 0, 0].numel())
        return [_on_device(clip, slice(first, first + size), self.device) for first in range(0, count, size)]


def _on_device(clip: Clip, rows: slice, device: torch.device | str) -> Clip:
    return {key: value[rows].to(device) if isinstance(value, Tensor) else value[rows] for key, value in clip.items()}  # type: ignore[return-value,index]
