"""The mask that a user gives for a frame: a label TIFF, ROIs of Fiji, or a labels layer of napari."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from skimage.measure import label

from lexy.errors import UserError
from lexy.io.fiji_rois import read_rois
from lexy.io.frames import FileFrames
from lexy.io.readers.tiff import TiffReader
from lexy.io.video import Video

read_array: Callable[..., NDArray[Any]] = open_memmap  # the strict reader: neither pickles nor archives
LARGEST = 2**16 - 1  # label: every frame needs memory for each number up to it; and 16 bit are what masks are saved in


def read_user_mask(mask: str | Path | NDArray[Any], frame: int, video: Video) -> NDArray[np.int32]:
    """Read the mask of one frame. An array is looked at as a file that holds it would be.

    A mask of several pieces that all have the same value (0 and 255, as Fiji writes them) is taken as a binary mask:
    each connected piece (8 neighbours) becomes a nucleus, numbered from 1 on. Other labels stay as they are. ROIs are
    numbered from 1 on in the order of the archive; where two overlap, the later one has the pixels, and what sticks out
    of the image ends at its border.

    Parameters
    ----------
    mask : str, Path or ndarray
        `.tif`, `.npy`, array: labels (H, W), or a stack (T, H, W) of which `frame` is taken. `.zip`, `.roi`: ROIs of
        Fiji; those with a position count for that frame alone, those without for the frame asked for.
    frame : int
        Counted from 0.
    video : Video
        That the mask belongs to.

    Returns
    -------
    ndarray of int32, (H, W)
        0 is background; at least one nucleus.

    Raises
    ------
    UserError
        If the file cannot be read, or is of another size; the mask is empty or holds negative numbers, fractions or
        numbers above 65535; the video has no such frame.
    """
    place = f"masks[{frame}]" if isinstance(mask, np.ndarray) else str(mask)
    if not 0 <= frame < video.n_frames:
        raise UserError(f"{place}: given for frame {frame}, but the video's frames are 0 to {video.n_frames - 1}")
    values = _frame_of(place, mask, frame, video) if isinstance(mask, np.ndarray) else _read(Path(mask), frame, video)
    return _separate(_whole(place, values))


def _read(path: Path, frame: int, video: Video) -> NDArray[Any]:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: masks are read from {', '.join(READERS)}; save it as one of them")
    return reader(path, frame, video)


def _read_tiff(path: Path, frame: int, video: Video) -> NDArray[Any]:
    with closing(FileFrames(path)) as file:
        _check_size(str(path), file.n_frames, file.shape, video)
        return file.frame(frame if file.n_frames > 1 else 0)


def _read_npy(path: Path, frame: int, video: Video) -> NDArray[Any]:
    try:
        array = read_array(path, mode="r")
    except OSError as error:
        raise UserError(f"{path}: cannot be opened ({error.strerror or error})") from error
    except Exception as error:  # what is no .npy file raises many kinds
        raise UserError(
            f"{path}: no array of numbers in NumPy's format, or cut short; save the labels again"
        ) from error
    return np.array(_frame_of(str(path), array, frame, video))


def _read_rois(path: Path, frame: int, video: Video) -> NDArray[Any]:
    return read_rois(path, frame, video.shape)


READERS: dict[str, Callable[[Path, int, Video], NDArray[Any]]] = {
    **dict.fromkeys(TiffReader.suffixes, _read_tiff),
    ".npy": _read_npy,
    **dict.fromkeys((".zip", ".roi"), _read_rois),
}


def _frame_of(place: str, array: NDArray[Any], frame: int, video: Video) -> NDArray[Any]:
    if array.ndim not in (2, 3):
        raise UserError(f"{place}: its shape is {array.shape}; give labels (H, W) or (T, H, W)")
    _check_size(place, len(array) if array.ndim == 3 else 1, array.shape[-2:], video)
    return np.asarray(array if array.ndim == 2 else array[frame if len(array) > 1 else 0])


def _check_size(place: str, n_frames: int, shape: tuple[int, ...], video: Video) -> None:
    if tuple(shape) != tuple(video.shape):
        raise UserError(
            f"{place}: {_by(shape)} pixels, but the video {video.name} has {_by(video.shape)}; give its own mask"
        )
    if n_frames not in (1, video.n_frames):
        raise UserError(f"{place}: {n_frames} masks for {video.n_frames} frames; give one mask, or one for each frame")


def _whole(place: str, values: NDArray[Any]) -> NDArray[np.int32]:
    if values.dtype.kind not in "biuf":
        raise UserError(f"{place}: its values are {values.dtype}; labels are whole numbers, 0 for background")
    if not (np.isfinite(values).all() and (values == np.trunc(values.astype(float))).all()):
        raise UserError(
            f"{place}: holds fractions or NaN; labels are whole numbers, 0 for background (not probabilities)"
        )
    low, high = values.min(), values.max()
    if low < 0 or high > LARGEST:
        raise UserError(f"{place}: labels from {low} to {high}; they go from 0 to {LARGEST}: number them from 1 on")
    if high == 0:
        raise UserError(f"{place}: an empty mask for this frame: all of it is 0; outline one nucleus at least")
    return values.astype(np.int32)


def _separate(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number the pieces of a binary mask; leave labels of several values as they are."""
    inside = labels > 0
    if (labels[inside] != labels.max()).any():
        return labels
    pieces, count = label(inside, connectivity=2, return_num=True)
    return np.asarray(pieces, np.int32) if count > 1 else labels


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
