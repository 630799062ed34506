"""LEXY: nucleus segmentation in videos where the nucleus disappears.

The package is lazy: importing it costs nothing, its functions import torch when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lexy import _torchvision

if TYPE_CHECKING:
    from lexy.checkpoint import load
    from lexy.predict.segmenter import Segmenter, segment

_torchvision.install()

__version__ = "0.1.0"
__all__ = ["Segmenter", "load", "segment"]

_MODULES = {"Segmenter": "lexy.predict.segmenter", "load": "lexy.checkpoint", "segment": "lexy.predict.segmenter"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'lexy' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
