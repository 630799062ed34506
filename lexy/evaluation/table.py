"""The per-frame table, from which every summary derives."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from lexy.evaluation import metrics
from lexy.evaluation.canny import published_hausdorff
from lexy.evaluation.overlap import overlap
from lexy.evaluation.surface import surface_distances
from lexy.images.nc_ratio import contrast, nuclear_ratio


@dataclass(frozen=True)
class Frames:
    """The labelled frames of a batch of clips with their predictions; what several metrics need is computed once.

    Attributes
    ----------
    images : Tensor
        (N, H, W) float.
    truth, predicted : Tensor
        (N, H, W) bool.
    pixel_size : ndarray
        (N,) float64, µm; NaN where it is not known.
    clip : Mapping
        The batch, as `frame_rows` takes it.
    labelled : Tensor
        (B, T) bool, on the CPU: where the frames lie in the batch.
    """

    images: Tensor
    truth: Tensor
    predicted: Tensor
    pixel_size: NDArray[np.float64]
    clip: Mapping[str, Any]
    labelled: Tensor

    @classmethod
    def of(cls, predicted: Tensor, clip: Mapping[str, Any]) -> "Frames":
        """Take the labelled frames out of a batch; parameters as of `frame_rows`."""
        if predicted.device.type == "mps":
            predicted = predicted.cpu()  # Apple's GPUs have no float64
        labelled = clip["labelled"].to(predicted.device)
        images, truth = (clip[key].to(predicted.device)[labelled][:, 0] for key in ("frames", "masks"))
        pixel_size = np.full(len(images), np.nan)
        if "pixel_size" in clip:
            of_clip, _ = np.nonzero(labelled.cpu().numpy())
            pixel_size = clip["pixel_size"].cpu().double().numpy()[of_clip]
        return cls(images, truth >= 0.5, predicted[labelled][:, 0], pixel_size, clip, labelled.cpu())

    @cached_property
    def names(self) -> dict[str, Any]:
        """`video` and `group`, str, and `frame`, the index, of each frame."""
        of_clip, _ = np.nonzero(self.labelled.numpy())
        names = {key: [self.clip[key][at] for at in of_clip] for key in ("video", "group")}
        return {**names, "frame": self.clip["frame"].cpu()[self.labelled].numpy()}

    @cached_property
    def overlap(self) -> dict[str, Tensor]:
        """Counts of pixels and what follows from them: `lexy.evaluation.overlap.overlap`."""
        return overlap(self.predicted, self.truth)

    @cached_property
    def surface(self) -> dict[str, NDArray[np.float64]]:
        """Distances between the outlines in pixels: `lexy.evaluation.surface.surface_distances`."""
        return surface_distances(self.predicted, self.truth)

    @cached_property
    def nc_true(self) -> Tensor:
        """N/C by the true mask with its own ring, (N,) float64."""
        return nuclear_ratio(self.images, self.truth)

    @cached_property
    def nc_predicted(self) -> Tensor:
        """N/C by the predicted mask with its own ring, (N,) float64."""
        return nuclear_ratio(self.images, self.predicted)

    @cached_property
    def contrast(self) -> Tensor:
        """The clip's own contrast, else the one measured within the true mask, (N,) float64."""
        if "contrast" in self.clip:
            known: Tensor = self.clip["contrast"]
            return known.cpu()[self.labelled].double()
        return contrast(self.images, self.truth)


def frame_rows(predicted: Tensor, clip: Mapping[str, Any]) -> pd.DataFrame:
    """Measure the predicted masks of a batch of clips: one row per labelled frame.

    Parameters
    ----------
    predicted : Tensor
        (B, T, 1, H, W) bool.
    clip : Mapping
        `frames` (B, T, 1, H, W) float32; `masks` likewise, in {0, 1}; `labelled` (B, T) bool; `video` and `group`, B
        str each; `frame` (B, T) int. Where known: `pixel_size` (B,) float, µm, NaN for unknown; `contrast` (B, T).

    Returns
    -------
    pd.DataFrame
        Columns: `video`, `group`, `frame`; `contrast` (the clip's own, else measured within the true mask); the counts
        of `overlap`; `nc_true` and `nc_predicted` (NaN where undefined); `hausdorff_published`; and every metric of
        `lexy.evaluation.metrics.METRICS` that is computed from a frame.
    """
    frames = Frames.of(predicted, clip)
    counts = ("tp", "fp", "fn", "tn", "missed", "spurious")
    columns: dict[str, Any] = {
        **frames.names,
        "contrast": frames.contrast,
        **{name: frames.overlap[name] for name in counts},
        "nc_true": frames.nc_true,
        "nc_predicted": frames.nc_predicted,
        "hausdorff_published": published_hausdorff(frames.predicted, frames.truth),
        **{each.name: each.compute(frames) for each in metrics.METRICS if each.compute is not None},
    }
    arrays = {name: values.cpu().numpy() if isinstance(values, Tensor) else values for name, values in columns.items()}
    return pd.DataFrame(arrays).astype({"video": object, "group": object})
