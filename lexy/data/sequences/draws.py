"""Random numbers that are a function of (seed, clip), and noise that is the same on every device."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lexy.randomness import CLIPS, generator

POOL = 2048
BYTES_MEAN, BYTES_DEVIATION = 510.0, (4 * (256**2 - 1) / 12) ** 0.5  # of the sum of four random bytes


class Draws:
    """Numbers for a batch of clips, on the CPU. A clip's are the same in any batch, if asked for in the same order.

    Parameters
    ----------
    seed : int
    clips : sequence of int
        Numbers of the clips, not negative.
    """

    def __init__(self, seed: int, clips: Sequence[int]) -> None:
        pools = [torch.rand(POOL, generator=generator(CLIPS, seed, clip), dtype=torch.float64) for clip in clips]
        self._pool, self._used = torch.stack(pools), 0

    def uniform(self, between: Sequence[float], *shape: int) -> Tensor:
        """Draw float64 (B, *shape), uniform in a range."""
        low, high = between
        return low + (high - low) * self._next(shape)

    def log_uniform(self, between: Sequence[float], *shape: int) -> Tensor:
        """Draw float64 (B, *shape), with a uniform logarithm; the range is positive."""
        return torch.exp(self.uniform(torch.tensor(between, dtype=torch.float64).log().tolist(), *shape))

    def normal(self, *shape: int) -> Tensor:
        """Draw normal float64 (B, *shape), mean 0 and standard deviation 1."""
        return torch.erfinv((2 * self._next(shape) - 1).clamp(-1 + 1e-12, 1 - 1e-12)) * 2**0.5

    def keys(self) -> Tensor:
        """Draw int32 (B,), the keys of `white_noise`."""
        return (self._next(()) * 2**31).to(torch.int32)

    def _next(self, shape: tuple[int, ...]) -> Tensor:
        size = torch.Size(shape).numel()
        if self._used + size > POOL:
            raise ValueError(f"more than {POOL} numbers asked for in a clip")
        values = self._pool[:, self._used : self._used + size]
        self._used += size
        return values.reshape(-1, *shape)


def white_noise(keys: Tensor, *shape: int) -> Tensor:
    """Make nearly normal noise, mean 0 and standard deviation 1, from integers alone: the same on every device.

    A 32-bit hash (C. Wellons' "lowbias32") of each place and its clip's key; the sum of the hash's four bytes is the
    value. It reaches 3.5 standard deviations at most.

    Parameters
    ----------
    keys : Tensor, int32 (B,)
    *shape : int
        Of each clip's noise.

    Returns
    -------
    Tensor, float32 (B, *shape)
    """
    place = torch.arange(torch.Size(shape).numel(), dtype=torch.int32, device=keys.device)
    x = place * 0x1E3779B1 + keys[:, None]  # products wrap
    for shift, mask, factor in ((16, 0xFFFF, 0x7FEB352D), (15, 0x1FFFF, 0x846CA68B - 2**32)):
        x = (x ^ ((x >> shift) & mask)) * factor
    x = x ^ ((x >> 16) & 0xFFFF)
    pairs = (x & 0x00FF00FF) + ((x >> 8) & 0x00FF00FF)
    total = (pairs & 0xFFFF) + (pairs >> 16)
    noise: Tensor = (total - BYTES_MEAN) / BYTES_DEVIATION
    return noise.view(-1, *shape)
