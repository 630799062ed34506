"""The contract of networks: what training, evaluation and prediction ask of them."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

FOREGROUND = "foreground"
DISTANCE = "distance"  # to the outline: 0 there and outside, 1 in the middle of a nucleus
Maps = dict[str, Tensor]
State = Any  # a tensor, or a (named) tuple of states: only the network looks into it


class Network(nn.Module, ABC):
    """A network that turns clips into maps; it may see all frames of a clip, also later ones.

    One that walks in time is a `Recurrence`; one that segments each frame by itself is a `FrameNetwork`.

    Attributes
    ----------
    needs_mask : bool
        Whether `start` needs the mask of the first frame.
    """

    needs_mask: ClassVar[bool] = False

    def start(self, frame: Tensor, mask: Tensor | None = None) -> State:
        """Return the state before the first frame; empty unless a network overrides it.

        Parameters
        ----------
        frame : Tensor, float (B, 1, H, W)
            The first frame.
        mask : Tensor, float (B, 1, H, W) in [0, 1], optional
            Its mask.

        Raises
        ------
        ValueError
            The network needs a mask and there is none.
        """
        return ()

    @abstractmethod
    def maps(self, frames: Tensor, state: State) -> Maps:
        """Return the maps of clips.

        Parameters
        ----------
        frames : Tensor, float (B, T, 1, H, W)
        state
            As `start` gives it.

        Returns
        -------
        dict of str to Tensor, float32 (B, T, C, H, W)
            Always `foreground`, the logits of nucleus (C = 1); other maps, such as distances, where a network has them.
        """


class Recurrence(Network):
    """A network that sees one frame after the other and keeps a state: a small state machine.

    Attributes
    ----------
    feeds_back : bool
        Whether a mask given by `with_mask` changes the next frames, so that a one-step figure differs from a
        free-running one.
    """

    feeds_back: ClassVar[bool] = False

    @abstractmethod
    def start(self, frame: Tensor, mask: Tensor | None = None) -> State:
        """Return the state before the first frame; see `Network.start`.

        The first `step` gets the same frame again, so a memory should not count it here.
        """

    @abstractmethod
    def step(self, state: State, frame: Tensor) -> tuple[Tensor, State]:
        """Return the logits (B, 1, H, W) of the next frame (B, 1, H, W), and the state after it."""

    @abstractmethod
    def with_mask(self, state: State, mask: Tensor) -> State:
        """Return the state as if `mask`, (B, 1, H, W) in [0, 1], had been the network's own for the last frame.

        For teacher forcing and one-step evaluation (the true mask), scheduled sampling, fusion, and tiles. It replaces
        the mask of the last frame, also twice; what accumulates over frames belongs in `step`. A network that carries
        no mask returns the state as it is.
        """

    @abstractmethod
    def feed_back(self, logits: Tensor) -> Tensor:
        """Return the mask, float32 in [0, 1], that the network passes to its next frame; see `propagation.mask_of`."""

    def maps(self, frames: Tensor, state: State) -> Maps:
        """Unroll the network freely over clips; see `Network.maps`."""
        logits = []
        for frame in frames.unbind(dim=1):
            output, state = self.step(state, frame)
            logits.append(output.float())
        return {FOREGROUND: torch.stack(logits, dim=1)}


class FrameNetwork(Recurrence):
    """A network that segments each frame by itself: its state is empty. What is left to write is `forward`."""

    @abstractmethod
    def forward(self, frame: Tensor) -> Tensor:
        """Return the logits (B, 1, H, W) of frames (B, 1, H, W)."""

    def start(self, frame: Tensor, mask: Tensor | None = None) -> tuple[()]:
        """Return the empty state, looking at neither frame nor mask."""
        return ()

    def step(self, state: tuple[()], frame: Tensor) -> tuple[Tensor, tuple[()]]:
        """Return the logits of this frame, and the same empty state."""
        return self(frame), state

    def with_mask(self, state: tuple[()], mask: Tensor) -> tuple[()]:
        """Return the same empty state."""
        return state

    def feed_back(self, logits: Tensor) -> Tensor:
        """Return probabilities; nothing looks at them."""
        return logits.float().sigmoid()
