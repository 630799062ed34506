"""The published study's synthetic sequences: 30 frames in which the nucleus fades, inverts and comes back.

Nothing is drawn: a clip is a function of its still alone. Two choices where the study's text and code differ, or leave
one: the edge pixels of a frame get the values of the frame blurred in two dimensions (the code blurred them as a
one-dimensional list in raster order, which mixes opposite sides of the nucleus), and the rotation moves no pixel into
the 0 outside (its resampling did so, by a hair, on the image border).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
import torch
from annotated_types import Interval
from numpy.typing import NDArray
from torch import Tensor

from lexy.data.sequences.corner_affine import corner_source
from lexy.data.sequences.protocol import Protocol, Sequences
from lexy.data.sequences.selection import published_means, touches_border
from lexy.evaluation.canny import canny_edges
from lexy.images.filters import blur, dilate_cross
from lexy.images.nc_ratio import nuclear_ratio

FRAMES = 30
MOTION = np.linspace(-2.0, 2.0, FRAMES)  # p: frame 0 is warped already
FALLING = np.concatenate([np.linspace(4.0, 1.0, 8), 1 / np.linspace(1.0, 4.0, 8)[1:]])
INTENSITY = np.concatenate([FALLING, FALLING[::-1]])  # factor on the nucleus
STEP = 0.05  # per unit of p: share of the scale, radians of the shear, degrees of the rotation
MASK_SIGMA, EDGE_SIGMA = 1.5, 0.7  # pixels
CLIPS_AT_ONCE = 4  # on the CPU, so that what is worked on stays in the cache


@dataclass(frozen=True)
class Published(Protocol):
    """The published construction.

    Parameters
    ----------
    max_contrast : float
        A still is used if nucleus and ring differ by less (see `lexy.data.crops.ring_contrast`), and if its mask does
        not touch the border.
    """

    max_contrast: Annotated[float, Interval(gt=0, le=1)] = 0.1

    def clips(self, images: Tensor, masks: Tensor, seed: int, clips: Sequence[int]) -> Sequences:
        """Make one clip from each still; nothing is drawn, so seed and numbers do not matter."""
        size = CLIPS_AT_ONCE if images.device.type == "cpu" else max(1, len(images))
        parts = [_frames(*part) for part in zip(torch.split(images, size), torch.split(masks, size), strict=True)]
        frames, moved = (torch.cat(part) for part in zip(*parts, strict=True))
        return Sequences(frames, moved, _contrast(images, masks))

    def select(self, images: Tensor, masks: Tensor) -> Tensor:
        """Return which stills have nuclei nearly as bright as the cytoplasm around them, away from the border."""
        nucleus, ring = published_means(images, masks)
        return ((nucleus - ring).abs() < self.max_contrast) & ~touches_border(masks)  # False where undefined


def _frames(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Make frames and masks, (B, 30, 1, H, W) each."""
    height, width = images.shape[-2:]
    source = torch.from_numpy(warp_indices(height, width)).to(images.device)
    factor = torch.from_numpy(INTENSITY).to(images).view(1, FRAMES, 1, 1)
    outside = images.new_zeros(len(images), 1)
    image, mask = (
        torch.cat([still.flatten(1), outside], dim=1).index_select(1, source).view(-1, FRAMES, height, width)
        for still in (images, masks)
    )
    image = image * (1 + (factor - 1) * mask)
    mask = blur(mask, MASK_SIGMA) >= 0.5
    edge = dilate_cross(canny_edges(mask.flatten(0, 1)).view_as(mask))
    image = torch.where(edge, blur(image, EDGE_SIGMA), image)
    image = image / image.amax((2, 3), keepdim=True).clamp(min=torch.finfo(image.dtype).tiny)
    return image[:, :, None], mask[:, :, None].to(masks.dtype)


def _contrast(images: Tensor, masks: Tensor) -> Tensor:
    """Return the contrast of each frame from the still's own N/C and the factor on its nuclei: (B, 30).

    An approximation: the factor and the division by the maximum change N/C as assumed, but the warp, which resamples
    the ring and moves part of it out of the image, the smoothing of the mask and the blurred edge change it a little.
    """
    ratio = nuclear_ratio(images[:, 0], masks[:, 0] > 0).to(images)[:, None] * torch.from_numpy(INTENSITY).to(images)
    return (ratio - 1) / (ratio + 1)


@lru_cache(maxsize=4)
def warp_indices(height: int, width: int) -> NDArray[np.int64]:
    """Return where each pixel of the 30 frames comes from.

    The affine has its origin at the centre of the top-left pixel: x′ = (1 + s) x − (1 + s) tan(shear) y,
    y′ = (1 + s) y. The rotation about the image centre follows. Each takes the nearest pixel.

    Returns
    -------
    ndarray of int64, shape (30 · height · width,)
        Flat indices into the still; `height · width` where the pixel lies outside.
    """
    rows, columns = np.mgrid[:height, :width].astype(float)
    middle, centre = (height - 1) / 2, (width - 1) / 2
    indices = []
    for p in MOTION:
        angle = np.radians(STEP * p)
        y, x = rows - middle, columns - centre
        y, x = np.cos(angle) * y + np.sin(angle) * x + middle, np.cos(angle) * x - np.sin(angle) * y + centre
        y, x = np.rint(y), np.rint(x)
        turned = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        source = corner_source(torch.from_numpy(y), torch.from_numpy(x), STEP * p, np.tan(STEP * p))
        y, x = (part.numpy() for part in source)
        inside = turned & (y >= 0) & (y < height) & (x >= 0) & (x < width)
        indices.append(np.where(inside, y * width + x, height * width))
    flat: NDArray[np.int64] = np.concatenate([index.ravel() for index in indices]).astype(np.int64)
    return flat
