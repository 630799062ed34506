"""Where a network that carries a mask gets its first one from."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import nn

from lexy.clip import Clip
from lexy.errors import UserError
from lexy.files import fingerprint
from lexy.networks.network import Network, Recurrence, State
from lexy.networks.propagation import frame_network
from lexy.randomness import generator
from lexy.tasks.mask_noise import MaskNoise


class TrueMask:
    """The true mask of the first frame, which therefore counts in no mean.

    Attributes
    ----------
    name : str
        What tables call the start; every start has one.
    given : bool
        Whether the first frame's truth is given away; every start says so.
    """

    name, given = "truth", True

    def state(self, network: Network, clip: Clip) -> State:
        """Return the network's state before the first frame.

        Raises
        ------
        UserError
            The clips have one frame, which would leave nothing to predict, or no mask in the first.
        """
        if clip["labelled"].shape[1] == 1:
            raise UserError(
                "start=truth gives away the mask of the first frame, and these clips have no other. Give "
                "start=perturbed (one step from a wrong mask) or start=unet."
            )
        return network.start(clip["frames"][:, 0], _first_masks(clip, self.name))


class PerturbedMask:
    """The true mask of the first frame made wrong. The first frame counts in no mean, unless it is the only one.

    On stills there is a reference too, the frame with its mask, made wrong independently of that: one step. Draws are a
    function of the seed and the clip's name.

    Parameters
    ----------
    noise : MaskNoise
    seed : int
    """

    name, given = "perturbed", True

    def __init__(self, noise: MaskNoise, seed: Annotated[int, Ge(0)] = 0) -> None:
        self.noise, self.seed = noise, seed

    def state(self, network: Network, clip: Clip) -> State:
        """Return the network's state before the first frame; UserError if the clips have no mask there."""
        frames, masks = clip["frames"][:, 0], _first_masks(clip, self.name)
        with torch.autocast(frames.device.type, enabled=False):
            pairs = [
                self.noise.pair(frames[i : i + 1].float(), masks[i : i + 1].float(), self._draw(video))
                for i, video in enumerate(clip["video"])
            ]
        previous, reference, mask = (torch.cat(part).to(frames.dtype) for part in zip(*pairs, strict=True))
        if clip["labelled"].shape[1] > 1:
            return network.start(frames, previous)
        state = network.start(reference, mask)
        return network.with_mask(state, previous) if isinstance(network, Recurrence) else state

    def _draw(self, video: str) -> torch.Generator:
        return generator("wrong start", self.seed, int(fingerprint(video)[:12], 16))


class PredictedMask:
    """What a trained frame network makes of the first frame, as probabilities.

    Parameters
    ----------
    network : Module
        Needs no mask; ValueError if it does.
    """

    name, given = "unet", False

    def __init__(self, network: nn.Module) -> None:
        self.network = frame_network(network)

    def state(self, network: Network, clip: Clip) -> State:
        """Return the network's state before the first frame; no mask of the clip is looked at."""
        frame = clip["frames"][:, 0]
        alone = self.network.to(frame.device)
        with torch.no_grad():
            logits, _ = alone.step(alone.start(frame), frame)
        return network.start(frame, logits.float().sigmoid())


Start = TrueMask | PerturbedMask | PredictedMask


def started(network: Network, clip: Clip, start: Start) -> State:
    """Return the state before the first frame; of a network that needs no mask, its own."""
    return start.state(network, clip) if network.needs_mask else network.start(clip["frames"][:, 0])


def counted(clip: Clip, start: Start) -> Clip:
    """Return the clip without the label of a frame whose truth is given away."""
    if not start.given or clip["labelled"].shape[1] == 1:
        return clip
    labelled = clip["labelled"].clone()
    labelled[:, 0] = False
    return {**clip, "labelled": labelled}


def _first_masks(clip: Clip, name: str) -> torch.Tensor:
    without = [video for video, known in zip(clip["video"], clip["labelled"][:, 0].tolist(), strict=True) if not known]
    if without:
        raise UserError(f"start={name} needs a mask of the first frame; {without[0]} has none. Give start=unet.")
    return clip["masks"][:, 0]
