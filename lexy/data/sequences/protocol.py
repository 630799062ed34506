"""What every construction of synthetic clips has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Sequences:
    """Synthetic clips.

    Attributes
    ----------
    frames : Tensor, float32 (B, T, 1, H, W), in [0, 1]
    masks : Tensor, float32 (B, T, 1, H, W), in {0, 1}
        All nuclei of the frame.
    contrast : Tensor, float32 (B, T)
        What the construction gave the nuclei: (nucleus − cytoplasm) / (nucleus + cytoplasm), before blur and noise.
    """

    frames: Tensor
    masks: Tensor
    contrast: Tensor


class Protocol(ABC):
    """A way to make clips from stills; a frozen dataclass of plain settings."""

    @abstractmethod
    def clips(self, images: Tensor, masks: Tensor, seed: int, clips: Sequence[int]) -> Sequences:
        """Make one clip from each still, on the device of the stills.

        Parameters
        ----------
        images : Tensor, float32 (B, 1, H, W), in [0, 1]
        masks : Tensor, float32 (B, 1, H, W), in {0, 1}
            All nuclei of the still.
        seed : int
        clips : sequence of B int
            What is drawn for a clip is a function of `seed` and its number, whatever else is in the batch.

        Returns
        -------
        Sequences
        """

    @abstractmethod
    def select(self, images: Tensor, masks: Tensor) -> Tensor:
        """Return which stills can be used: bool (B,). Arguments as for `clips`."""

    def settings(self) -> dict[str, Any]:
        """Return everything that decides what a clip looks like, as plain values."""
        return {"class": f"{type(self).__module__}.{type(self).__qualname__}", **asdict(self)}  # type: ignore[call-overload]
