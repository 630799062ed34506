"""Randomness as a function of what is drawn for, never of what was drawn before.

Lightning's checkpoints hold no generator state: a resumed run equals an undisturbed one only because every draw is
keyed by (seed, epoch, step) or (seed, clip).
"""

import numpy as np
import torch
from torch import Generator


def generator(*key: int, device: torch.device | str = "cpu") -> Generator:
    """A torch generator whose stream is a function of `key` (non-negative integers) alone.

    NumPy fills keys of up to four numbers with zeros: (3,), (3, 0) and (3, 0, 0, 0) are one stream. Within one use,
    keys therefore have one length, and no two of them are alike. Keys of two uses may be: the augmentation of step 0
    in epoch e, (seed, e, 0, 0), has the stream of that epoch's order, (seed, e), and of the clip of that number. Each
    use turns its stream into something else (a permutation, affines, the course of a clip), and none compares them.
    Where it would matter, a key ends in a number above 0 of the use's own.
    """
    state = np.random.SeedSequence(key).generate_state(2, np.uint32)
    return Generator(device).manual_seed(int(state[0]) << 32 | int(state[1]))
