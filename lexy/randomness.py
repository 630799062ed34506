"""Randomness as a function of what is drawn for, never of what was drawn before.

Lightning's checkpoints hold no generator state: a resumed run equals an undisturbed one only because every draw is
keyed by (seed, epoch, step) or (seed, clip).
"""

import numpy as np
import torch
from torch import Generator


def generator(*key: int, device: torch.device | str = "cpu") -> Generator:
    """A torch generator whose stream is a function of `key` (non-negative integers) alone."""
    state = np.random.SeedSequence(key).generate_state(2, np.uint32)
    return Generator(device).manual_seed(int(state[0]) << 32 | int(state[1]))
