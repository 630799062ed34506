"""A file, or a folder of frames, for each video, and another for its masks."""

import re
from contextlib import closing
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt

from lexy.data.videos.layouts.reading import (
    Frame,
    binary,
    compiled,
    files_of,
    matches,
    none_left_over,
    text_of,
    together,
)
from lexy.data.videos.recording import Recording
from lexy.errors import UserError
from lexy.io.frame_names import unique
from lexy.io.frames import Frames
from lexy.io.video import open_frames


class StackFiles:
    """A file for each video, in any format that `lexy.io` reads, or a folder of its frames, and one of its masks.

    Parameters
    ----------
    pattern : str
        Regular expression that the whole file name of a video must match; the group `cell` is its name.
    mask_pattern : str
        Likewise for masks, and looked at first; the same `cell`.
    channel : int or None
        Which channel of a video shows the nuclei, from 0; None where there is one alone.
    ignore : str or None
        Regular expression of whole names of files to leave out.
    dark_nuclei : bool
        Whether masks are zero within nuclei.
    require_masks : bool
        False takes masks of fewer frames than the video has: they are those of its first frames.
    pixel_size : float or None
        µm; None takes it from the video's file.
    interval : float or None
        Seconds from frame to frame; None takes it from the video's file.
    """

    def __init__(
        self,
        pattern: str,
        mask_pattern: str,
        channel: Annotated[int, Ge(0)] | None = None,
        ignore: str | None = None,
        dark_nuclei: bool = False,
        require_masks: bool = True,
        pixel_size: Annotated[float, Gt(0)] | None = None,
        interval: Annotated[float, Gt(0)] | None = None,
    ) -> None:
        self.pattern = compiled(pattern, "data.layout.pattern", ["cell"])
        self.mask_pattern = compiled(mask_pattern, "data.layout.mask_pattern", ["cell"])
        self.ignore = None if ignore is None else compiled(ignore, "data.layout.ignore")
        self.channel, self.dark_nuclei, self.require_masks = channel, dark_nuclei, require_masks
        self.pixel_size, self.interval = pixel_size, interval

    def recordings(self, folder: Path) -> list[Recording]:
        """Read all videos; see `Layout.recordings`."""
        names = files_of(folder, self.ignore)
        masks = _by_cell(names, self.mask_pattern)
        videos = _by_cell([path for path in names if path not in masks.values()], self.pattern)
        if not videos:
            raise UserError(
                f"{folder}: none of its {len(names)} files matches data.layout.pattern={self.pattern.pattern!r} as a "
                "video. Correct it."
            )
        advice = "correct data.layout.pattern or the name, or leave it out by data.layout.ignore"
        none_left_over(names, {*videos.values(), *masks.values()}, advice)
        for cell in sorted(videos.keys() - masks.keys()):
            raise UserError(
                f"{videos[cell].name}: no file with its masks matches data.layout.mask_pattern="
                f"{self.mask_pattern.pattern!r}. Add it, or correct the pattern."
            )
        for cell in sorted(masks.keys() - videos.keys()):
            raise UserError(f"{masks[cell].name}: masks without their video.")
        return [self._recording(cell, videos[cell], masks[cell]) for cell in sorted(videos)]

    def _recording(self, cell: str, path: Path, mask_path: Path) -> Recording:
        with closing(_opened(path, self.channel)) as video, closing(_opened(mask_path, None)) as masks:
            if video.n_frames < 2:
                raise UserError(f"{path.name}: one frame alone; a video has two at least.")
            if masks.n_frames > video.n_frames or (masks.n_frames < video.n_frames and self.require_masks):
                raise UserError(
                    f"{mask_path.name} has {masks.n_frames} frames, {path.name} has {video.n_frames}. Give a mask for "
                    f"each frame{'.' if masks.n_frames > video.n_frames else ', or data.layout.require_masks=false.'}"
                )
            frames = {
                number: Frame(
                    video.frame(number),
                    binary(masks.frame(number), mask_path, dark=self.dark_nuclei) if number < masks.n_frames else None,
                    path,
                    video.pixel_size,
                    video.interval,
                )
                for number in range(video.n_frames)
            }
        return together(cell, frames, self)


def _opened(path: Path, channel: int | None) -> Frames:
    return open_frames(path, channel, planes_are_time=True)[1]


def _by_cell(files: list[Path], pattern: re.Pattern[str]) -> dict[str, Path]:
    """Return the files that match, by the names of their cells."""
    return unique(((text_of(match, "cell", path), path) for match, path in matches(files, pattern)), str)
