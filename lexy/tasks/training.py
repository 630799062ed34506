"""How a network is trained on clips: single frames with a made-up past, unrolled over time, or whole clips.

A way of training takes a network and an augmented batch of clips and gives what the loss compares. A network that needs
no mask is not given any.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Gt, Interval, MinLen
from torch import Generator, Tensor, nn
from torch.utils.checkpoint import checkpoint

from lexy.clip import Clip
from lexy.errors import UserError
from lexy.networks.network import FOREGROUND, Maps, Network, Recurrence, State
from lexy.networks.propagation import detached
from lexy.tasks.mask_noise import MaskNoise

Share = Annotated[float, Interval(ge=0, le=1)]


class Target(NamedTuple):
    """What is known of labelled frames: masks, float (N, 1, H, W); known pixels and instances, where a clip has them.

    See `lexy.clip.Clip` for the types of the optional ones.
    """

    masks: Tensor
    known: Tensor | None = None
    instances: Tensor | None = None


class Term(NamedTuple):
    """Maps of labelled frames, (N, C, H, W) each, with what the loss compares them with, and the term's weight."""

    maps: Maps
    target: Target
    weight: float = 1.0

    @property
    def logits(self) -> Tensor:
        """The foreground, (N, 1, H, W)."""
        return self.maps[FOREGROUND]


class Training(ABC):
    """A way of training.

    Attributes
    ----------
    needs_recurrence : bool
        Whether it takes recurrences alone.
    needs_sequences : bool
        Whether it takes clips of several frames alone.
    """

    needs_recurrence: ClassVar[bool] = False
    needs_sequences: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, network: Network, clip: Clip, draw: Generator, progress: float) -> list[Term]:
        """Return what the loss compares.

        Parameters
        ----------
        network : Network
        clip : Clip
        draw : Generator
            On the CPU.
        progress : float
            Share of the training that is over, in [0, 1).
        """


class WholeClips(Training):
    """Whole clips as the network sees them, with the loss on every labelled frame.

    For networks that see all frames at once. One that needs a mask is given the true one of the first frame, which
    then counts in no loss.
    """

    def __call__(self, network: Network, clip: Clip, draw: Generator, progress: float) -> list[Term]:
        """Return one term: the network's maps of all labelled frames.

        Raises
        ------
        UserError
            The network needs a mask and a clip has none of its first frame, or has no other frame.
        """
        frames, labelled, first = clip["frames"], clip["labelled"], None
        if network.needs_mask:
            if not bool(labelled[:, 0].all()) or labelled.shape[1] == 1:
                raise UserError(
                    f"training=clips: {type(network).__name__} needs the mask of the first frame, and learns from the "
                    "others. Give clips of several frames with such a mask, or another training."
                )
            first, labelled = clip["masks"][:, 0], labelled.clone()
            labelled[:, 0] = False
        maps = network.maps(frames, network.start(frames[:, 0], first))
        return [Term({name: values[labelled] for name, values in maps.items()}, target_of(clip, labelled))]


class OneStep(Training):
    """Single frames, each with a previous mask and a reference made from its own truth by `noise`.

    Parameters
    ----------
    noise : MaskNoise
        `PublishedNoise` reproduces the study.
    passes : int
        At most so many times the network's own soft output is fed back before the pass that learns (self-feeding, from
        RITM, Sofiiuk et al. 2021, arXiv:2102.06583): their number is uniform from 0, without gradient, in evaluation
        mode.
    frames : int or None
        Labelled frames drawn from each clip; None takes all.
    """

    needs_recurrence = True

    def __init__(
        self, noise: MaskNoise, passes: Annotated[int, Ge(0)] = 0, frames: Annotated[int, Gt(0)] | None = None
    ) -> None:
        self.noise, self.passes, self.frames = noise, passes, frames

    def __call__(self, network: Network, clip: Clip, draw: Generator, progress: float) -> list[Term]:
        """Return one term: a step of the network on each frame that is taken."""
        network = _recurrence(network)
        chosen = self._chosen(clip["labelled"], draw)
        frames, masks, target = clip["frames"][chosen], clip["masks"][chosen], target_of(clip, chosen)
        if not network.needs_mask:
            return [Term({FOREGROUND: network.step(network.start(frames), frames)[0]}, target)]
        with torch.autocast(frames.device.type, enabled=False):
            previous, *reference = self.noise.pair(frames, masks, draw)
        state = network.with_mask(network.start(*reference), previous)
        for _ in range(int(torch.randint(self.passes + 1, (), generator=draw))):
            with torch.no_grad(), _evaluating(network):
                logits, _ = network.step(state, frames)
            state = network.with_mask(state, logits.float().sigmoid())
        return [Term({FOREGROUND: network.step(state, frames)[0]}, target)]

    def _chosen(self, labelled: Tensor, draw: Generator) -> Tensor:
        if self.frames is None:
            return labelled
        order = torch.rand(labelled.shape, generator=draw).to(labelled.device).masked_fill(~labelled, -1)
        least = order.topk(min(self.frames, order.shape[1]), dim=1).values[:, -1:]
        return labelled & (order >= least)


class Unrolled(Training):
    """Short windows of clips, unrolled from the first frame's mask, with the loss on every frame.

    Windows grow with the training, as in STCN and Cutie; soft feedback carries the gradient through time.

    Parameters
    ----------
    noise : MaskNoise or None
        What is done to the mask that a window starts from; None starts from the truth.
    lengths : sequence of int
        Frames of a window: the first number in the first part of the training, and so on.
    skip : int
        A window takes each frame, or each second, … up to each `skip`-th, as far as the clip is long enough.
    reverse : float
        Probability that time runs backwards.
    true_masks : sequence of two float
        Scheduled sampling: the probability that a frame is given the true mask of the frame before it instead of the
        network's own, from the first to the last step of the training. [1, 1] is teacher forcing, [1, 0] the classic
        schedule (Bengio et al. 2015, arXiv:1506.03099), [0, 1] the inverse one (Teutsch and Mäder), [0, 0]
        free-running.
    lead : int
        At most so many frames are run before a window, without gradient, from where the clip starts: their number is
        uniform from 0, as far as the clip is long enough. So the window starts from masks that have gone astray as far
        as they do in a long video, and a reference lies as far back as there.
    cycle : float
        Weight of a further loss: having reached the last frame, go back, and compare the first frame's mask with the
        truth (cycle consistency). 0 saves the way back.
    truncate : int or None
        The gradient goes back through at most so many frames.
    recompute : bool
        Activation checkpointing: keep only the states, compute each step again for its gradient. Less memory, a third
        more time. Not with batch normalisation, which would count each frame twice.
    """

    needs_recurrence, needs_sequences = True, True

    def __init__(
        self,
        noise: MaskNoise | None = None,
        lengths: Annotated[Sequence[Annotated[int, Ge(2)]], MinLen(1)] = (3, 5, 8),
        skip: Annotated[int, Gt(0)] = 3,
        reverse: Share = 0.5,
        true_masks: tuple[Share, Share] = (0.0, 0.0),
        lead: Annotated[int, Ge(0)] = 0,
        cycle: Annotated[float, Ge(0)] = 0.0,
        truncate: Annotated[int, Gt(0)] | None = None,
        recompute: bool = False,
    ) -> None:
        self.noise, self.lengths, self.lead, self.skip, self.reverse = noise, list(lengths), lead, skip, reverse
        self.true_masks, self.cycle, self.truncate, self.recompute = true_masks, cycle, truncate, recompute

    def __call__(self, network: Network, clip: Clip, draw: Generator, progress: float) -> list[Term]:
        """Return the term of the windows, and with `cycle` that of the way back.

        Raises
        ------
        UserError
            The clips have a single frame, or no mask to start from.
        """
        network = _recurrence(network)
        length = self.lengths[min(int(progress * len(self.lengths)), len(self.lengths) - 1)]
        lead = int(torch.randint(self.lead + 1, (), generator=draw))
        window = self._windows(clip, lead + length, draw)
        if network.needs_mask and not bool(window["labelled"][:, 0].all()):
            raise UserError(
                "training=unrolled starts from masks, but some windows have none: give masks of more frames, or longer "
                "windows (training.lengths)."
            )
        first = self._first(window["masks"][:, 0], draw) if network.needs_mask else None
        state = network.start(window["frames"][:, 0], first)
        lead = max(0, window["frames"].shape[1] - length)
        with torch.no_grad(), _evaluating(network):
            for frame in window["frames"].unbind(dim=1)[:lead]:
                _, state = network.step(state, frame)
        window = _frames_of(window, np.s_[:, lead:])
        labelled = window["labelled"]
        logits, state = self._unrolled(network, state, window, labelled & self._given(labelled, progress, draw))
        terms = [Term({FOREGROUND: logits[labelled]}, target_of(window, labelled))]
        return terms + self._back(network, state, window) if self.cycle else terms

    def _unrolled(self, network: Recurrence, state: State, window: Clip, given: Tensor) -> tuple[Tensor, State]:
        """Return the logits of a window, and the state after it; after a `given` frame the true mask is passed on."""
        logits: list[Tensor] = []
        for time, frame in enumerate(window["frames"].unbind(dim=1)):
            if logits and bool(given[:, time - 1].any()):
                own = network.feed_back(logits[-1])
                past = torch.where(given[:, time - 1, None, None, None], window["masks"][:, time - 1], own)
                state = network.with_mask(state, past)
            if self.truncate and time and time % self.truncate == 0:
                state = detached(state)
            output, state = self._step(network, state, frame)
            logits.append(output)
        return torch.stack(logits, dim=1), state

    def _given(self, labelled: Tensor, progress: float, draw: Generator) -> Tensor:
        start, end = self.true_masks
        given = torch.rand(labelled.shape, generator=draw) < start + (end - start) * progress
        return given.to(labelled.device)

    def _back(self, network: Recurrence, state: State, window: Clip) -> list[Term]:
        for frame in window["frames"].flip(1)[:, 1:].unbind(dim=1):
            logits, state = self._step(network, state, frame)
        known = window["labelled"][:, 0]
        target = target_of(_frames_of(window, np.s_[:, 0]), known)
        return [Term({FOREGROUND: logits[known]}, target, self.cycle)] if bool(known.any()) else []

    def _step(self, network: Recurrence, state: State, frame: Tensor) -> tuple[Tensor, State]:
        if not self.recompute:
            return network.step(state, frame)
        logits, state = checkpoint(network.step, state, frame, use_reentrant=False)
        return logits, state

    def _first(self, masks: Tensor, draw: Generator) -> Tensor:
        if self.noise is None:
            return masks
        with torch.autocast(masks.device.type, enabled=False):
            return self.noise.previous(masks, draw)

    def _windows(self, clip: Clip, length: int, draw: Generator) -> Clip:
        """Return a window of each clip. Its first frame has a mask, if any of its frames has one."""
        count, time = clip["labelled"].shape
        if time < 2:
            raise UserError("training=unrolled needs clips of several frames, these have one. Give data=synthetic.")
        length = min(length, time)
        longest = min(self.skip, (time - 1) // (length - 1))
        stride = 1 + torch.randint(longest, (count, 1), generator=draw)
        room = time - (length - 1) * stride
        first = (torch.rand(count, 1, generator=draw) * room).long().clamp(max=time - 1)
        order = first + stride * torch.arange(length)
        backwards = torch.rand(count, 1, generator=draw) < self.reverse
        order = torch.where(backwards, order.flip(1), order).to(clip["frames"].device)
        rows = torch.arange(count, device=order.device)[:, None]
        return _frames_of(clip, (rows, _from_labelled(order, clip["labelled"], rows)))


def _recurrence(network: Network) -> Recurrence:
    if not isinstance(network, Recurrence):
        raise UserError(
            f"model: {type(network).__name__} sees whole clips, and this way of training steps from frame to frame. "
            "Give training=clips."
        )
    return network


def _frames_of(clip: Clip, index: Any) -> Clip:
    """Return some of the frames of clips, with all that is known of each; what belongs to a clip stays as it is."""
    of_frames = ("frames", "masks", "labelled", "frame", "contrast", "known", "instances")
    values: dict[str, Any] = dict(clip)
    chosen: Any = {key: value[index] if key in of_frames else value for key, value in values.items()}
    of_those: Clip = chosen
    return of_those


def target_of(clip: Clip, chosen: Tensor) -> Target:
    """Return what is known of chosen frames, bool (B, T)."""
    known, instances = clip.get("known"), clip.get("instances")
    return Target(
        clip["masks"][chosen],
        None if known is None else known[chosen],
        None if instances is None else instances[chosen],
    )


def _from_labelled(order: Tensor, labelled: Tensor, rows: Tensor) -> Tensor:
    """Windows whose first frame has no mask are begun at the first of their frames that has one, and end with repeats.

    A window without any labelled frame stays as it is.
    """
    length = order.shape[1]
    first = labelled[rows, order].int().argmax(dim=1, keepdim=True)
    places = (first + torch.arange(length, device=order.device)).clamp(max=length - 1)
    return order.gather(1, places)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
