"""Randomness as a function of what is drawn for, never of what was drawn before.

Lightning's checkpoints hold no generator state: a resumed run equals an undisturbed one only because every draw is
keyed by its purpose and (seed, epoch, step) or (seed, clip).
"""

import hashlib

import numpy as np
import torch
from torch import Generator

CLIPS = ""  # the purpose without a tag: the fixed test clips that docs/results.md was measured on stay what they are


def generator(purpose: str, *key: int, device: torch.device | str = "cpu") -> Generator:
    """Return a torch generator whose stream is a function of purpose and key alone.

    Parameters
    ----------
    purpose : str
        What is drawn, in words. Two purposes never share a stream, nor do two keys of one, whatever their lengths.
    *key : int
        Not negative.
    device : device or str
        Streams differ between kinds of devices.
    """
    words = (int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8]), len(key), *key) if purpose else key
    state = np.random.SeedSequence(words).generate_state(2, np.uint32)
    return Generator(device).manual_seed(int(state[0]) << 32 | int(state[1]))
