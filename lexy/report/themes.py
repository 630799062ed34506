"""Figures in the colours of light and of dark pages."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

from lexy.files import replacing
from lexy.report import html

SHARED = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "text.parse_math": False,
    "savefig.dpi": 200,
}


def _theme(ink: str, paper: str, colours: tuple[str, str, str]) -> dict[str, Any]:
    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    papered = ("figure.facecolor", "axes.facecolor")
    return {
        **SHARED,
        **dict.fromkeys(inked, ink),
        **dict.fromkeys(papered, paper),
        "axes.prop_cycle": cycler(color=colours),
    }


# Okabe and Ito's blue and vermilion, with a pale blue for the light; lighter ones on dark pages.
LIGHT = _theme("#1c1c1c", "#ffffff", ("#0072B2", "#D55E00", "#56B4E9"))
DARK = _theme("#e6e6e6", "#161616", ("#56B4E9", "#FF9E4A", "#3F7FB5"))


def png(draw: Callable[[], Figure], theme: dict[str, Any]) -> bytes:
    """Draw a figure as PNG in the colours of `LIGHT` or `DARK`."""
    buffer = io.BytesIO()
    with mpl.rc_context(theme):  # type: ignore[arg-type]
        draw().savefig(buffer, format="png")
    return buffer.getvalue()


def figure(draw: Callable[[], Figure], path: Path, description: str) -> str:
    """Draw a figure as HTML in the reader's colours, light or dark; the light one is also written to `path`."""
    light = png(draw, LIGHT)
    with replacing(path) as temporary:
        temporary.write_bytes(light)
    return html.picture(light, description, dark=png(draw, DARK))
