"""A video in memory, and tiny networks that say what they were told."""

import numpy as np
import torch

from lexy.checkpoint import Trained
from lexy.networks.network import DISTANCE, FOREGROUND, FrameNetwork, Network, Recurrence


class MemoryVideo:
    """Counts how often each frame was read."""

    def __init__(self, frames, pixel_size=float("nan")):
        self.frames = np.asarray(frames, np.float32)
        self.name, self.n_frames, self.shape = "memory", len(self.frames), self.frames.shape[1:]
        self.pixel_size, self.interval = pixel_size, float("nan")

    def read(self, frame):
        return self.frames[frame]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


class Bright(FrameNetwork):
    """Nucleus is what is brighter than a half; needs no mask."""

    def forward(self, frame):
        return 40 * (frame - 0.5)


class Carry(Recurrence):
    """The last mask, whatever the frame shows."""

    needs_mask = True
    feeds_back = True

    def start(self, frame, mask=None):
        if mask is None:
            raise ValueError("no mask")
        return mask

    def step(self, state, frame):
        return torch.logit(state, eps=1e-4), state

    def with_mask(self, state, mask):
        return mask

    def feed_back(self, logits):
        return logits.sigmoid()


class Late(Network):
    """Sees whole clips: nucleus is, in every frame, what is brighter than a half in any; distances are even, if any."""

    def __init__(self, distance=None):
        super().__init__()
        self.distance = distance

    def maps(self, frames, state):
        logits = (40 * (frames.amax(dim=1, keepdim=True) - 0.5)).expand_as(frames)
        distances = {} if self.distance is None else {DISTANCE: torch.full_like(frames, self.distance)}
        return {FOREGROUND: logits} | distances


def trained(network, frame_network=None, diameter=16.0, crop=(32, 32), pixel_size=None, intensity=None):
    return Trained(network, frame_network, diameter, crop, pixel_size, intensity)


def disc(shape, row, column, diameter):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= (diameter / 2) ** 2


def discs(shape, centres, diameter):
    return np.any([disc(shape, *centre, diameter) for centre in centres], axis=0)
