"""Outlines of Fiji's ROI Manager → labels."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from roifile import ROI_SUBTYPE, ROI_TYPE, ImagejRoi
from skimage.draw import polygon2mask

from lexy.errors import UserError

MOST_ROIS = 20_000
MOST_BYTES = 2**20  # of one ROI, unpacked: an outline of 100 000 points
OUTLINES = {ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED, ROI_TYPE.RECT, ROI_TYPE.OVAL}
DRAWN = {ROI_SUBTYPE.UNDEFINED, ROI_SUBTYPE.ELLIPSE, ROI_SUBTYPE.ROTATED_RECT}


def read_rois(path: Path, frame: int, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Read the ROIs of one frame as labels (H, W), numbered from 1 on in the order of the archive.

    A pixel belongs to an outline if its centre lies in it. ROIs without a position are those of any frame.

    Raises
    ------
    UserError
        If the archive is damaged, too large, or holds anything else than areas; no ROI is of this frame; an outline has
        no pixel of its own in the image.
    """
    found = [(name, _parsed(path, name, data)) for name, data in _members(path)]
    if not found:
        raise UserError(f"{path}: holds no ROI; draw nuclei, add them to the ROI Manager, then More > Save")
    positions = [_position(roi) for _, roi in found]
    rois = [each for each, position in zip(found, positions, strict=True) if position in (None, frame)]
    if not rois:
        listed = ", ".join(str(each) for each in sorted({each for each in positions if each is not None})[:5])
        raise UserError(
            f"{path}: its ROIs belong to other frames ({listed}, counted from 0), none to frame {frame}; "
            "give that frame, or take the positions away (ROI Manager: More > Remove Positions)"
        )
    labels = np.zeros(shape, np.int32)
    for number, (name, roi) in enumerate(rois, start=1):
        _draw(labels, roi, number, f"{path}: ROI {name}")
    left = np.bincount(labels.ravel(), minlength=len(rois) + 1)
    if hidden := [name for number, (name, _) in enumerate(rois, start=1) if not left[number]]:
        raise UserError(f"{path}: ROI {hidden[0]} lies wholly under later ones; remove one of them")
    return labels


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents; a single ROI is its own archive."""
    try:
        if path.suffix.lower() == ".roi":
            with path.open("rb") as file:
                yield _shown(path.name), _bounded(path, path.name, file.read(MOST_BYTES + 1))
            return
        with zipfile.ZipFile(path) as archive:
            # macOS adds a folder of its own to what it packs.
            files = [
                each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/")
            ]
            if len(files) > MOST_ROIS:
                raise UserError(
                    f"{path}: {len(files)} files, more than {MOST_ROIS} ROIs; save those of one frame alone"
                )
            for each in files:
                if not each.filename.lower().endswith(".roi"):
                    raise UserError(
                        f"{path}: holds {_shown(each.filename)}, no ROI; save from Fiji's ROI Manager again"
                    )
                with archive.open(each) as file:  # read, never unpacked to disk: names lead nowhere
                    yield _shown(each.filename), _bounded(path, each.filename, file.read(MOST_BYTES + 1))
    except OSError as error:
        raise UserError(f"{path}: cannot be opened ({error.strerror or error})") from error
    except (
        zipfile.BadZipFile,
        RuntimeError,
        NotImplementedError,
        EOFError,
        ValueError,
    ) as error:  # RuntimeError: password
        raise UserError(f"{path}: a damaged or locked archive; save from Fiji's ROI Manager again") from error


def _bounded(path: Path, name: str, data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise UserError(f"{path}: {_shown(name)} is larger than {MOST_BYTES} bytes, no outline of a nucleus")
    return data


def _shown(name: str) -> str:
    """Return a name from an archive, fit for a line of text."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _parsed(path: Path, name: str, data: bytes) -> ImagejRoi:
    try:
        roi = ImagejRoi.frombytes(data)
    except Exception as error:  # struct.error, ValueError, UnicodeDecodeError, …
        raise UserError(f"{path}: {name} is no ROI of Fiji, or damaged; save it again") from error
    if roi.roitype not in OUTLINES or roi.subtype not in DRAWN or _rounded(roi):
        raise UserError(
            f"{path}: ROI {name} is of kind {_kind(roi)}, which is not read; "
            "draw nuclei as polygon, freehand, oval or rectangle, and remove the rest"
        )
    return roi


def _kind(roi: ImagejRoi) -> str:
    return ("rounded " if _rounded(roi) else "") + str(
        (roi.subtype if roi.subtype not in DRAWN else roi.roitype).name
    ).lower()


def _rounded(roi: ImagejRoi) -> bool:
    return bool(roi.roitype == ROI_TYPE.RECT and roi.rounded_rect_arc_size > 0)


def _position(roi: ImagejRoi) -> int | None:
    """Return the frame, counted from 0; Fiji counts from 1, and 0 means all."""
    at = roi.t_position or (0 if roi.c_position or roi.z_position else roi.position)
    return at - 1 if at > 0 else None


def _draw(labels: NDArray[np.int32], roi: ImagejRoi, number: int, place: str) -> None:
    """Paint a number where the ROI is; paths of a composite ROI cut holes into each other."""
    height, width = labels.shape
    if roi.roitype == ROI_TYPE.OVAL:
        inside = _oval(roi, labels.shape)
    else:
        inside = np.zeros(labels.shape, bool)
        for path in roi.coordinates(multi=True):
            points = np.asarray(path, float)
            if points.ndim != 2 or len(points) < 3 or not np.isfinite(points).all():
                raise UserError(f"{place}: has no outline of three points at least; draw it again")
            # Fiji's whole numbers are corners of pixels, NumPy's are their centres.
            inside ^= polygon2mask((height, width), points[:, ::-1] - 0.5)
    if not inside.any():
        raise UserError(f"{place}: no pixel of it lies in the image ({height} × {width}); is it of another video?")
    labels[inside] = number


def _oval(roi: ImagejRoi, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    top, left, bottom, right = (float(each) for each in (roi.top, roi.left, roi.bottom, roi.right))
    if roi.subpixelrect:
        top, left, bottom, right = roi.yd, roi.xd, roi.yd + roi.heightd, roi.xd + roi.widthd
    if not (bottom > top and right > left):
        return np.zeros(shape, bool)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    down = (rows + 0.5 - (top + bottom) / 2) / ((bottom - top) / 2)
    across = (columns + 0.5 - (left + right) / 2) / ((right - left) / 2)
    return np.asarray(down**2 + across**2 < 1)
