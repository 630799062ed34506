"""Pixel size, frame interval and names of channels from the metadata of a TIFF file."""

import math
from xml.etree.ElementTree import Element, ParseError

import tifffile
from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

MICROMETRES = {
    "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0, "\\u00b5m": 1.0,
    "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0, "in": 25400.0,
}  # fmt: skip
SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3,
    "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hour": 3600.0, "hours": 3600.0,
}  # fmt: skip


def physical(tif: tifffile.TiffFile) -> tuple[float, float]:
    """Read the scale from the metadata of an open file; OME metadata before ImageJ's.

    Parameters
    ----------
    tif : TiffFile

    Returns
    -------
    pixel_size : float
        µm, of the width of a pixel; NaN where the file does not say, or uses a unit that is no length.
    interval : float
        Seconds from frame to frame; NaN likewise.
    """
    return _of_ome(tif) if tif.is_ome else _of_imagej(tif) if tif.is_imagej else (math.nan, math.nan)


def ome_root(tif: tifffile.TiffFile) -> Element | None:
    """Parse the OME metadata of an open file; None if it has none that can be read safely."""
    try:
        root: Element = fromstring((tif.ome_metadata or "").encode())
        return root
    except (ParseError, DefusedXmlException, ValueError, LookupError):  # LookupError: an encoding that is none
        return None


def channel_names(tif: tifffile.TiffFile) -> list[str]:
    """Return the names of an open file's channels, in order; '' for one without, nothing where the file has none."""
    if tif.is_ome:
        root = ome_root(tif)
        image = None if root is None else root.find("{*}Image")
        return [channel.get("Name", "") for channel in image.findall(".//{*}Channel")] if image is not None else []
    facts = tif.imagej_metadata or {}
    labels = facts.get("Labels") or []
    labels = [labels] if isinstance(labels, str) else labels
    count = facts.get("channels", 1)
    return [str(label) for label in labels[:count]] if isinstance(count, int) else []


def planes_said(tif: tifffile.TiffFile) -> float:
    """Return how many planes the largest image has by the OME metadata of an open file; 0 where they do not say."""
    root = ome_root(tif) if tif.is_ome else None
    images = [] if root is None else root.findall(".//{*}Pixels")
    counts = [math.prod(_number(image.get(f"Size{axis}")) for axis in "CZT") for image in images]
    return max((count for count in counts if not math.isnan(count)), default=0)


def _of_ome(tif: tifffile.TiffFile) -> tuple[float, float]:
    root = ome_root(tif)
    pixels = None if root is None else root.find(".//{*}Pixels")
    if pixels is None:
        return math.nan, math.nan
    size = _number(pixels.get("PhysicalSizeX")) * MICROMETRES.get(pixels.get("PhysicalSizeXUnit", "µm"), math.nan)
    return size, _number(pixels.get("TimeIncrement")) * SECONDS.get(pixels.get("TimeIncrementUnit", "s"), math.nan)


def _of_imagej(tif: tifffile.TiffFile) -> tuple[float, float]:
    facts = tif.imagej_metadata or {}
    tag = tif.pages[0].tags.get("XResolution")
    match tag and tag.value:
        case (int(pixels), int(units)) if pixels:
            width = _number(units / pixels)
        case _:
            width = math.nan
    scale = MICROMETRES.get(str(facts.get("unit", "")).strip().lower(), math.nan)
    interval = _number(facts.get("finterval")) * SECONDS.get(str(facts.get("tunit", "s")).strip().lower(), math.nan)
    return width * scale, interval


def _number(text: object) -> float:
    """Return a positive number, or NaN."""
    try:
        value = float(str(text))
    except ValueError:
        return math.nan
    return value if 0 < value < math.inf else math.nan
