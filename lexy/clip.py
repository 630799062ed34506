"""The one shape of all data between disk and metric."""

from typing import NotRequired, TypedDict

from torch import Tensor


class Clip(TypedDict):
    """A batch of clips; a still is a clip with T = 1.

    Attributes
    ----------
    frames : Tensor, float32 (B, T, 1, H, W), in [0, 1]
    masks : Tensor, float32 (B, T, 1, H, W), in {0, 1}
    labelled : Tensor, bool (B, T)
        False where there is no mask (that is not an empty mask) and where a frame is padding.
    video, group : list of str (B)
        What a row of a table belongs to, and what is independent: the field for stills, the cell for videos.
    frame : Tensor, int64 (B, T)
        Index of the frame in its video.
    pixel_size : Tensor, float32 (B), optional
        µm per pixel; NaN where unknown.
    instances : Tensor, int32 (B, T, H, W), optional
        Numbers of the nuclei, 0 = background; the same number is the same nucleus in all frames of a clip.
    known : Tensor, bool (B, T, 1, H, W), optional
        False where nothing is known of a pixel: it counts in no loss and no metric. Its mask is 0.
    contrast : Tensor, float32 (B, T), optional
        Where it is known: (nucleus − cytoplasm) / (nucleus + cytoplasm), see `lexy.images.nc_ratio.contrast`.
    """

    frames: Tensor
    masks: Tensor
    labelled: Tensor
    video: list[str]
    group: list[str]
    frame: Tensor
    pixel_size: NotRequired[Tensor]
    instances: NotRequired[Tensor]
    known: NotRequired[Tensor]
    contrast: NotRequired[Tensor]
