"""A video in memory, and tiny networks that say what they were told."""

import numpy as np
import torch
from torch import nn

from lexy.checkpoint import Trained


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


class Bright(nn.Module):
    """Nucleus is what is brighter than a half; needs no mask."""

    def start(self, frame, mask=None):
        return ()

    def step(self, state, frame):
        return 40 * (frame - 0.5), state

    def with_mask(self, state, mask):
        return state


class Carry(nn.Module):
    """The last mask, whatever the frame shows."""

    needs_mask = True

    def start(self, frame, mask=None):
        if mask is None:
            raise ValueError("no mask")
        return mask

    def step(self, state, frame):
        return torch.logit(state, eps=1e-4), state

    def with_mask(self, state, mask):
        return mask


def trained(network, frame_network=None, diameter=16.0, crop=(32, 32), pixel_size=None, intensity=None):
    return Trained(network, frame_network, diameter, crop, pixel_size, intensity)


def disc(shape, row, column, diameter):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= (diameter / 2) ** 2


def discs(shape, centres, diameter):
    return np.any([disc(shape, *centre, diameter) for centre in centres], axis=0)
