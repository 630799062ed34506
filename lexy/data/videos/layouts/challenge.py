"""Folders of the Cell Tracking Challenge (celltrackingchallenge.net, naming and file content conventions)."""

import re
from pathlib import Path
from typing import Annotated

from annotated_types import Gt

from lexy.data.videos.layouts.reading import Frame, binary, existing, known, read_tiff, same_scale, together
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
        for number in masks.keys() - images.keys():
            raise UserError(f"{masks[number]}: a mask without its frame t{number:03}.tif.")
        frames, scales = {}, []
        for number, path in images.items():
            image, *scale = read_tiff(path)
            mask = binary(read_tiff(masks[number])[0], masks[number], dark=False) if number in masks else None
            frames[number] = Frame(image, mask, path)
            scales.append(scale)
        return together(
            video.name,
            frames,
            require_masks=self.require_masks,
            pixel_size=known(self.pixel_size, same_scale([size for size, _ in scales])),
            interval=known(self.interval, same_scale([interval for _, interval in scales])),
        )


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
