"""Folders of the Cell Tracking Challenge (celltrackingchallenge.net, naming and file content conventions)."""

import re
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Gt
from numpy.typing import NDArray

from lexy.data.videos.layouts.reading import Frame, binary, existing, none_left_over, read_tiff, scale, together
from lexy.data.videos.recording import Recording
from lexy.errors import UserError

VIDEO, FRAME, MASK = re.compile(r"\d{2,}"), re.compile(r"t(\d{3,})\.tif"), re.compile(r"man_seg(\d{3,})\.tif")


class ChallengeFolders:
    """Frames `01/t000.tif`, …, and masks `01_GT/SEG/man_seg000.tif`, or in the same folder as the frames.

    Parameters
    ----------
    require_masks : bool
        The challenge's gold truth has masks for some frames only; False takes it as it is.
    pixel_size : float or None
        µm; None takes it from the files.
    interval : float or None
        Seconds from frame to frame; None takes it from the files.
    """

    def __init__(
        self,
        require_masks: bool = False,
        pixel_size: Annotated[float, Gt(0)] | None = None,
        interval: Annotated[float, Gt(0)] | None = None,
    ) -> None:
        self.require_masks, self.pixel_size, self.interval = require_masks, pixel_size, interval

    def recordings(self, folder: Path) -> list[Recording]:
        """See `Layout.recordings`."""
        videos = sorted(path for path in existing(folder).iterdir() if path.is_dir() and VIDEO.fullmatch(path.name))
        if not videos:
            raise UserError(f"{folder}: has no folder 01, 02, … as the Cell Tracking Challenge names its videos.")
        return [self._recording(video) for video in videos]

    def _recording(self, video: Path) -> Recording:
        truth = video.parent / f"{video.name}_GT" / "SEG"
        images, masks = _numbered(video, FRAME), _numbered(truth if truth.is_dir() else video, MASK)
        if not images:
            raise UserError(f"{video}: has no frame t000.tif.")
        for number in sorted(masks.keys() - images.keys()):
            raise UserError(f"{masks[number]}: a mask without its frame t{number:03}.tif.")
        for place in {path.parent for path in [*images.values(), *masks.values()]}:
            files = sorted(path for path in place.iterdir() if path.is_file())
            none_left_over(files, {*images.values(), *masks.values()}, "t000.tif and man_seg000.tif are; move it away")
        files_read = {number: read_tiff(path) for number, path in images.items()}
        frames = {
            number: Frame(file.single(), self._mask(masks.get(number)), file.path)
            for number, file in files_read.items()
        }
        return together(
            video.name,
            frames,
            require_masks=self.require_masks,
            pixel_size=scale(self.pixel_size, [f.pixel_size for f in files_read.values()], "pixel_size", video.name),
            interval=scale(self.interval, [f.interval for f in files_read.values()], "interval", video.name),
        )

    def _mask(self, path: Path | None) -> NDArray[np.bool_] | None:
        return None if path is None else binary(read_tiff(path).single(), path, dark=False)


def _numbered(folder: Path, name: re.Pattern[str]) -> dict[int, Path]:
    """Files by their numbers."""
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        match = name.fullmatch(path.name)
        if match is None:
            continue
        number = int(match[1])
        if number in found:
            raise UserError(f"{path} and {found[number].name} are both frame {number}: remove one.")
        found[number] = path
    return found
