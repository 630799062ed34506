"""LEXY: nucleus segmentation in videos where the nucleus disappears.

The package is lazy: importing it costs nothing, `lexy.load` and `lexy.segment` import torch when first used.
"""

from typing import TYPE_CHECKING, Any

from lexy import _torchvision

if TYPE_CHECKING:
    from lexy.checkpoint import load
    from lexy.predict.segmenter import segment

_torchvision.install()

__version__ = "0.1.0"
__all__ = ["load", "segment"]


def __getattr__(name: str) -> Any:
    if name == "load":
        from lexy.checkpoint import load

        return load
    if name == "segment":
        from lexy.predict.segmenter import segment

        return segment
    raise AttributeError(f"module 'lexy' has no attribute {name!r}")
