"""Masks that metrics are checked on."""

import numpy as np
import torch
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter


def blobs(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """(count, height, width) bool: smoothed noise, from single pixels to large shapes that touch the border."""
    noise = rng.normal(size=(count, height, width))
    noise = np.stack([gaussian_filter(image, rng.choice([0, 0.7, 1.5, 3])) for image in noise])
    return noise > np.quantile(noise, rng.uniform(0.1, 0.9), axis=(1, 2), keepdims=True)


def extremes(height: int, width: int) -> np.ndarray:
    """(6, height, width) bool: empty, full, one pixel, a corner, a half, all but one pixel."""
    masks = np.zeros((6, height, width), dtype=bool)
    masks[1] = True
    masks[2, height // 2, width // 3] = True
    masks[3, : height // 3 + 1, : width // 3 + 1] = True
    masks[4, :, width // 2 :] = True
    masks[5] = ~masks[2]
    return masks


def pairs(seed: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random masks beside random ones, and every extreme beside every extreme and a random one."""
    rng = np.random.default_rng(seed)
    special = extremes(height, width)
    first = np.concatenate([blobs(rng, 8, height, width), np.repeat(special, 6, axis=0), special])
    second = np.concatenate([blobs(rng, 8, height, width), np.tile(special, (6, 1, 1)), blobs(rng, 6, height, width)])
    return torch.from_numpy(first), torch.from_numpy(second)


@st.composite
def symmetric_blobs(draw: st.DrawFn) -> np.ndarray:
    """One mask, often with mirror symmetry, where equal gradients make every rounding count."""
    size = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    mask = blobs(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), 1, *size)[0]
    if draw(st.booleans()):
        mask |= mask[::-1]
    if draw(st.booleans()):
        mask |= mask[:, ::-1]
    if size[0] == size[1] and draw(st.booleans()):
        mask |= mask.T
    return mask
