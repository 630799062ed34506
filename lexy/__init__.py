"""LEXY: nucleus segmentation in videos where the nucleus disappears.

The package is lazy: importing it costs nothing, `lexy.load` imports torch when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexy.checkpoint import load

__version__ = "0.1.0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    if name == "load":
        from lexy.checkpoint import load

        return load
    raise AttributeError(f"module 'lexy' has no attribute {name!r}")
