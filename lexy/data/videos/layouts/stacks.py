"""One file for each video, its masks in a file beside it."""

import re
from pathlib import Path
from typing import Annotated

from annotated_types import Gt

from lexy.data.videos.layouts.reading import (
    Frame,
    Image,
    Tiff,
    binary,
    compiled,
    files_of,
    none_left_over,
    read_tiff,
    scale,
    text_of,
    together,
)
from lexy.data.videos.recording import Recording
from lexy.errors import UserError


class StackFiles:
    """A TIFF or OME-TIFF stack (T, H, W) for each video, and one of its masks.

    Parameters
    ----------
    pattern : str
        Regular expression that the whole file name of a video must match; the group `cell` is its name.
    mask_pattern : str
        Likewise for masks, and looked at first; the same `cell`.
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
        ignore: str | None = None,
        dark_nuclei: bool = False,
        require_masks: bool = True,
        pixel_size: Annotated[float, Gt(0)] | None = None,
        interval: Annotated[float, Gt(0)] | None = None,
    ) -> None:
        self.pattern = compiled(pattern, "data.layout.pattern", ["cell"])
        self.mask_pattern = compiled(mask_pattern, "data.layout.mask_pattern", ["cell"])
        self.ignore = None if ignore is None else compiled(ignore, "data.layout.ignore")
        self.dark_nuclei, self.require_masks = dark_nuclei, require_masks
        self.pixel_size, self.interval = pixel_size, interval

    def recordings(self, folder: Path) -> list[Recording]:
        """See `Layout.recordings`."""
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
        file = read_tiff(path)
        images, masks = _stack(file), _stack(read_tiff(mask_path))
        if len(masks) > len(images) or (len(masks) < len(images) and self.require_masks):
            raise UserError(
                f"{mask_path.name} has {len(masks)} frames, {path.name} has {len(images)}. Give a mask for each frame"
                + ("." if len(masks) > len(images) else ", or data.layout.require_masks=false.")
            )
        nuclei = binary(masks, mask_path, dark=self.dark_nuclei)
        frames = {
            number: Frame(image, nuclei[number] if number < len(nuclei) else None, path)
            for number, image in enumerate(images)
        }
        return together(
            cell,
            frames,
            require_masks=self.require_masks,
            pixel_size=scale(self.pixel_size, [file.pixel_size], "pixel_size", cell),
            interval=scale(self.interval, [file.interval], "interval", cell),
        )


def _by_cell(names: list[Path], pattern: re.Pattern[str]) -> dict[str, Path]:
    """Files that match, by the names of their cells."""
    found: dict[str, Path] = {}
    for path in names:
        match = pattern.fullmatch(path.name)
        if match is None:
            continue
        cell = text_of(match, "cell", path)
        if cell in found:
            raise UserError(f"{path.name} and {found[cell].name} are both {cell}: remove one.")
        found[cell] = path
    return found


def _stack(file: Tiff) -> Image:
    shapes = ", ".join(str(image.shape) for image in file.images)
    if len(file.images) != 1:
        raise UserError(f"{file.path.name}: holds images of several sizes or types ({shapes}), not one video.")
    # C is a channel, S a sample of a pixel; what else leads is time, also where an older program called it depth.
    if file.images[0].ndim != 3 or not file.axes[0].endswith("YX") or file.axes[0].startswith("C"):
        raise UserError(
            f"{file.path.name}: has the shape {shapes}, axes {file.axes[0]}; a video (T, H, W) of one channel is "
            "needed."
        )
    return file.images[0]
