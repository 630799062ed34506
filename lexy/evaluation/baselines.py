"""Baselines of every table of sequences: the copied first mask, the same moved by registration, and thresholds.

Each is a `Recurrence`, so that whatever evaluates or streams a network takes it as well. Their logits are ±1.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.filters import threshold_li, threshold_otsu
from torch import Tensor
from torch.nn import functional

from lexy.networks.network import FrameNetwork, Recurrence
from lexy.networks.propagation import mask_of


class CopiedMask(Recurrence):
    """The first mask in every frame."""

    needs_mask = True
    feeds_back = True

    def start(self, frame: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the mask as the state; ValueError without one."""
        return _given(mask)

    def step(self, state: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mask as logits, and the same state."""
        return _logits(state), state

    def with_mask(self, state: Tensor, mask: Tensor) -> Tensor:
        """Return another mask as the state."""
        return mask

    def feed_back(self, logits: Tensor) -> Tensor:
        """Return the mask cut at 0.5."""
        return mask_of(logits, "hard")


class Registered(NamedTuple):
    """First mask and the window about it, (B, 1, H, W), and the spectrum of the first frame's edges there."""

    mask: Tensor
    window: Tensor
    spectrum: Tensor


class MovedMask(Recurrence):
    """The first mask, moved as the frame about it has moved since: a translation by whole pixels.

    Found as the peak of the cross-correlation of gradient magnitudes, which stay where contrast inverts, in a window
    about the first mask.

    Parameters
    ----------
    reach : float
        Longest shift in each direction that is looked for, and width of the window's margin, as a share of height and
        width.
    """

    needs_mask = True
    feeds_back = True

    def __init__(self, reach: float = 0.1) -> None:
        super().__init__()
        self.reach = reach

    def start(self, frame: Tensor, mask: Tensor | None = None) -> Registered:
        """Remember the first frame and its mask; ValueError without one."""
        mask = _given(mask)
        sizes = [2 * int(n * self.reach) + 1 for n in frame.shape[-2:]]
        pads = [size // 2 for size in sizes]
        window = functional.max_pool2d(mask.float(), sizes, 1, pads)
        window = functional.avg_pool2d(window, sizes, 1, pads)  # softens the window's own edge
        return Registered(mask, window, _edge_spectrum(frame, window))

    def step(self, state: Registered, frame: Tensor) -> tuple[Tensor, Registered]:
        """Return the moved mask as logits, and the same state."""
        height, width = frame.shape[-2:]
        cross = _edge_spectrum(frame, state.window) * state.spectrum.conj()
        correlation = torch.fft.irfft2(cross, s=(height, width))
        down, across = (int(n * self.reach) for n in (height, width))
        near = torch.roll(correlation, (down, across), dims=(1, 2))[:, : 2 * down + 1, : 2 * across + 1]
        best = near.flatten(1).argmax(dim=1)
        shift = torch.stack([best // near.shape[2] - down, best % near.shape[2] - across], dim=1)
        better = near.flatten(1).amax(dim=1) > near[:, down, across] + 1e-6  # without edges there is no peak
        shift = shift * better[:, None]
        return _logits(_translated(state.mask, shift)), state

    def with_mask(self, state: Registered, mask: Tensor) -> Registered:
        """Return the state with another mask; the frame that it is moved from stays."""
        return state._replace(mask=mask)

    def feed_back(self, logits: Tensor) -> Tensor:
        """Return the mask cut at 0.5."""
        return mask_of(logits, "hard")


class Threshold(FrameNetwork):
    """What is brighter than a threshold that each frame is given by itself.

    Parameters
    ----------
    rule : callable
        From an image (H, W) to its threshold.
    """

    def __init__(self, rule: Callable[[NDArray[np.float32]], float]) -> None:
        super().__init__()
        self.rule = rule

    def forward(self, frame: Tensor) -> Tensor:
        """Return the logits of frames."""
        images = frame[:, 0].float().cpu().numpy()
        masks = np.stack([image > self.rule(image) for image in images])[:, None]
        return _logits(torch.from_numpy(masks).to(frame.device))


class Otsu(Threshold):
    """Otsu's threshold."""

    def __init__(self) -> None:
        super().__init__(threshold_otsu)


class Li(Threshold):
    """Li's minimum cross-entropy threshold."""

    def __init__(self) -> None:
        super().__init__(threshold_li)


def _given(mask: Tensor | None) -> Tensor:
    if mask is None:
        raise ValueError("a copied mask starts from a mask of the first frame: give one")
    return mask


def _logits(masks: Tensor) -> Tensor:
    return 2 * (masks >= 0.5).float() - 1


def _edge_spectrum(frame: Tensor, window: Tensor) -> Tensor:
    """Return the spectrum (B, H, W / 2 + 1) of the gradient magnitude of frames, of mean 0 in the window."""
    edges, window = torch.hypot(*torch.gradient(frame[:, 0].float(), dim=(1, 2))), window[:, 0]
    total = window.sum((1, 2), keepdim=True).clamp(min=1e-6)
    spectrum: Tensor = torch.fft.rfft2((edges - (edges * window).sum((1, 2), keepdim=True) / total) * window)
    return spectrum


def _translated(masks: Tensor, shift: Tensor) -> Tensor:
    """Return masks (B, 1, H, W), each moved by (rows, columns); 0 comes in from outside."""
    height, width = masks.shape[-2:]
    rows = torch.arange(height, device=masks.device) - shift[:, :1]
    columns = torch.arange(width, device=masks.device) - shift[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    clip = torch.arange(len(masks), device=masks.device)[:, None, None]
    moved = masks[:, 0][clip, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
    return (moved * inside)[:, None]
