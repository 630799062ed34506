"""Folders of the Cell Tracking Challenge (celltrackingchallenge.net, naming and file content conventions)."""

import re
from pathlib import Path
from typing import Annotated

from annotated_types import Gt

from lexy.data.videos.layouts.reading import existing, matches, none_left_over, number_of, read_frame, together
from lexy.data.videos.recording import Recording
from lexy.errors import UserError
from lexy.io.frame_names import unique

VIDEO = re.compile(r"\d{2,}")
FRAME, MASK = re.compile(r"t(?P<frame>\d{3,})\.tif"), re.compile(r"man_seg(?P<frame>\d{3,})\.tif")


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
        """Read all videos; see `Layout.recordings`."""
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
        frames = {number: read_frame(path, masks.get(number), dark=False) for number, path in images.items()}
        return together(video.name, frames, self)


def _numbered(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    """Return the files that match, by their numbers."""
    found = matches(sorted(folder.iterdir()), pattern)
    return unique(((number_of(match, path), path) for match, path in found), lambda number: f"frame {number}")
