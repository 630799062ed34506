"""Intensity: how the grey values of a video become the values that a network sees, nearly always 0 to 1.

The dataset names it, the checkpoint stores its settings, and prediction rebuilds it from them. Training and prediction
therefore scale the same frames alike.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_li

from lexy.errors import UserError

Passes = Callable[[], Iterable[NDArray[Any]]]  # begins a pass over all frames of a video, each (H, W)
Scaling = Callable[[NDArray[Any]], NDArray[np.float32]]  # a frame (H, W) as a network sees it

FINE = 12  # low bits of a float32 that the first histogram leaves to the second one


@dataclass(frozen=True)
class Intensity(ABC):
    """A way to scale frames; a frozen dataclass of plain numbers."""

    @abstractmethod
    def scaling(self, frames: Passes, name: str) -> Scaling:
        """Return the function that scales each frame of a video.

        Parameters
        ----------
        frames : callable
            Gives all frames of the video, one after the other, each time that it is called.
        name : str
            Of the video, for messages.

        Raises
        ------
        UserError
            The video shows nothing: it has one value nearly all over. The function raises it, too, for a frame.
        """

    def settings(self) -> dict[str, Any]:
        """Return the class's name (`kind`) and its numbers, from which `from_settings` builds it again."""
        return {"kind": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class VideoPercentiles(Intensity):
    """Percentiles of the whole video become 0 and 1; what lies beyond is cut off.

    One pair for the whole video: a pair for each frame would make the cytoplasm as bright as the nucleus was, just when
    the protein has left it. The percentiles are those of `numpy.percentile` over all frames, found in two passes and
    bounded memory.

    Parameters
    ----------
    low, high : float
        Percentiles, 0 ≤ low < high ≤ 100.
    """

    low: float = 0.5
    high: float = 99.8

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(f"low={self.low} must be less than high={self.high}")

    def scaling(self, frames: Passes, name: str) -> Scaling:
        """Scale by the two percentiles."""
        values = RankedValues(frames)
        places = [(values.count - 1) * (percent / 100) for percent in (self.low, self.high)]
        below = [math.floor(place) for place in places]
        found = values.at([*below, *(min(rank + 1, values.count - 1) for rank in below)])
        dark, bright = (
            _between(lower, upper, place % 1) for lower, upper, place in zip(found[:2], found[2:], places, strict=True)
        )
        if not dark < bright:
            raise UserError(f"{name} has one value nearly all over ({dark:g}). Replace or remove it.")
        return lambda frame: ((frame.astype(np.float64) - dark) / (bright - dark)).clip(0, 1).astype(np.float32)


@dataclass(frozen=True)
class RoundedPercentiles(VideoPercentiles):
    """Percentiles of the whole video, rounded down to 12 binary digits above the darkest value.

    For checkpoints that do not name their intensity, and for networks that were trained on stills or on clips made of
    them: there each crop was divided by its own maximum, which a field of many cells does not have. A percentile stands
    for the maximum, because a hot pixel or a dead cell would darken everything else.
    """

    def scaling(self, frames: Passes, name: str) -> Scaling:
        """Scale in single precision, digit for digit as before checkpoints named their intensity."""
        values = RankedValues(frames)
        ranks = [max(1, math.ceil(percent / 100 * values.count)) - 1 for percent in (self.low, self.high)]
        darkest, *found = values.at([0, *ranks])
        dark, bright = (darkest + _rounded(value - darkest) for value in found)
        if not dark < bright:
            raise UserError(f"{name} has one value nearly all over ({dark:g}): there is nothing to segment.")
        low, span = np.float32(dark), np.float32(bright - dark)

        def scaled(frame: NDArray[Any]) -> NDArray[np.float32]:
            values: NDArray[np.float32] = (np.asarray(frame, np.float32) - low) / span
            return values.clip(0, 1)

        return scaled


@dataclass(frozen=True)
class FrameMinMax(Intensity):
    """Each frame by itself: minimum and maximum become 0 and 1, then a factor sets the mean of the background.

    Background is what Li's threshold of the frame leaves out. Values may exceed 1.

    Parameters
    ----------
    background : float
        Mean of the background after scaling, above 0.
    """

    background: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.background < math.inf:
            raise ValueError(f"background={self.background} must be above 0")

    def scaling(self, frames: Passes, name: str) -> Scaling:
        """Scale without a look at any other frame."""

        def scale(frame: NDArray[Any]) -> NDArray[np.float32]:
            values = frame.astype(np.float64)
            low, high = values.min(), values.max()
            if not low < high:
                raise UserError(f"{name}: a frame has one value all over ({low:g}). Replace or remove it.")
            dark = values < threshold_li(values)
            values = (values - low) / (high - low)
            mean = values[dark].mean() if dark.any() else 0.0
            scaled: NDArray[np.float32] = (values * (self.background / mean if mean else 1.0)).astype(np.float32)
            return scaled

        return scale


KINDS = {kind.__name__: kind for kind in (VideoPercentiles, RoundedPercentiles, FrameMinMax)}


def from_settings(settings: Mapping[str, Any]) -> Intensity:
    """Build an intensity from what its `settings` gave.

    Raises
    ------
    UserError
        There is no such kind here, or its numbers are none.
    """
    numbers = {key: value for key, value in settings.items() if key != "kind"}
    kind = KINDS.get(str(settings.get("kind")))
    if kind is None:
        raise UserError(
            f"intensity={dict(settings)}: frames are scaled in a way that this version of lexy does not know "
            f"({', '.join(KINDS)}). Update lexy, or scale frames in one of these ways."
        )
    try:
        return kind(**{key: float(value) for key, value in numbers.items()})
    except (TypeError, ValueError) as error:
        raise UserError(f"intensity={dict(settings)}: {error}.") from error


class RankedValues:
    """The values of all pixels of a video in ascending order, exact as float32, in two passes and bounded memory.

    The first pass counts values by their leading bits, the second one by the others where they are asked for.

    Parameters
    ----------
    frames : callable
        See `Intensity.scaling`.

    Attributes
    ----------
    count : int
        Number of pixels.
    """

    def __init__(self, frames: Passes) -> None:
        self._frames = frames
        counts = np.zeros(2 ** (32 - FINE), np.int64)
        for frame in frames():
            counts += np.bincount(_ordered_bits(frame) >> FINE, minlength=len(counts))
        self._reached = np.cumsum(counts)
        self.count = int(self._reached[-1])

    def at(self, ranks: Sequence[int]) -> list[float]:
        """Return the values at these places of the order, counted from 0."""
        bins = np.searchsorted(self._reached, ranks, side="right")
        counts = {int(index): np.zeros(2**FINE, np.int64) for index in bins}
        for frame in self._frames():
            bits = _ordered_bits(frame)
            leading = bits >> FINE
            for index, fine in counts.items():
                fine += np.bincount(bits[leading == index] & (2**FINE - 1), minlength=len(fine))
        found = []
        for rank, index in zip(ranks, bins.tolist(), strict=True):
            below = int(self._reached[index - 1]) if index else 0
            low = int(np.searchsorted(np.cumsum(counts[index]), rank - below, side="right"))
            found.append(_value(index << FINE | low))
        return found


def _between(below: float, above: float, share: float) -> float:
    """Interpolate linearly, rounding as NumPy does."""
    step = above - below
    return above - step * (1 - share) if share >= 0.5 else below + step * share


def _ordered_bits(frame: NDArray[Any]) -> NDArray[np.uint32]:
    """The bits of float32 values (N,), changed so that they are in the order of the values."""
    bits = (frame.astype(np.float32).ravel() + np.float32(0)).view(np.uint32)  # −0 becomes 0
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _value(bits: int) -> float:
    """The float32 that has these bits in `_ordered_bits`."""
    pattern = bits & 0x7FFFFFFF if bits >> 31 else ~bits & 0xFFFFFFFF
    return float(np.array([pattern], np.uint32).view(np.float32)[0])


def _rounded(value: float) -> float:
    """A value ≥ 0 as float32 without its last bits."""
    bits = np.array([value], np.float32).view(np.uint32)
    return float((bits >> FINE << FINE).view(np.float32)[0])
