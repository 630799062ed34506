"""The per-frame table, from which every summary derives."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from lexy.evaluation.canny import published_hausdorff
from lexy.evaluation.overlap import overlap
from lexy.evaluation.surface import surface_distances
from lexy.images.nc_ratio import contrast, nuclear_ratio

DISTANCES = ("hausdorff", "hd95", "mean_surface_distance")


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
        Columns: `video`, `group`, `frame`; `contrast` (the clip's own, else measured within the true mask); those of
        `overlap` and `surface_distances`; `hausdorff_published`; the distances in µm (`hausdorff_um`, `hd95_um`,
        `mean_surface_distance_um`; NaN for an unknown pixel size); `nc_true`, `nc_predicted` (each with its mask's own
        ring) and `nc_error`, their absolute difference (NaN where one is undefined).
    """
    if predicted.device.type == "mps":
        predicted = predicted.cpu()  # Apple's GPUs have no float64
    labelled = clip["labelled"].to(predicted.device)
    images, truth = (clip[key].to(predicted.device)[labelled][:, 0] for key in ("frames", "masks"))
    mask, truth = predicted[labelled][:, 0], truth >= 0.5
    labelled = labelled.cpu()
    of_clip, _ = np.nonzero(labelled.numpy())

    columns: dict[str, Any] = {
        "video": [clip["video"][i] for i in of_clip],
        "group": [clip["group"][i] for i in of_clip],
        "frame": clip["frame"].cpu()[labelled].numpy(),
        "contrast": clip["contrast"].cpu()[labelled].double() if "contrast" in clip else contrast(images, truth),
        **overlap(mask, truth),
        **surface_distances(mask, truth),
        "hausdorff_published": published_hausdorff(mask, truth),
    }
    pixel_size = clip["pixel_size"].cpu().double().numpy()[of_clip] if "pixel_size" in clip else np.nan
    columns |= {f"{name}_um": columns[name] * pixel_size for name in DISTANCES}
    columns["nc_true"], columns["nc_predicted"] = nuclear_ratio(images, truth), nuclear_ratio(images, mask)
    columns["nc_error"] = (columns["nc_predicted"] - columns["nc_true"]).abs()
    arrays = {name: values.cpu().numpy() if isinstance(values, Tensor) else values for name, values in columns.items()}
    return pd.DataFrame(arrays).astype({"video": object, "group": object})
