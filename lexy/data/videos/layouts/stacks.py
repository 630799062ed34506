"""One file for each video, its masks in a file beside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from annotated_types import Gt

from lexy.data.videos.layouts.reading import Frame, Image, binary, compiled, existing, known, read_tiff, together
from lexy.data.videos.recording import Recording
from lexy.errors import UserError


class StackFiles:
    """A TIFF or OME-TIFF stack (T, H, W) for each video, and one of its masks.

    Parameters
    ----------
    pattern : str
        Regular expression that the whole file name of a video must match; the group `cell` is its name.
    mask_pattern : str
        Likewise for masks; the same `cell`.
    dark_nuclei : bool
        Whether masks are zero within nuclei.
    require_masks : bool
        False takes masks of fewer frames than the video has: they are those of its first frames.
    pixel_size : float or None
        µm; None takes it from the files.
    interval : float or None
        Seconds from frame to frame; None takes it from the files.
    """

    def __init__(
        self,
        pattern: str,
        mask_pattern: str,
        dark_nuclei: bool = False,
        require_masks: bool = True,
        pixel_size: Annotated[float, Gt(0)] | None = None,
        interval: Annotated[float, Gt(0)] | None = None,
    ) -> None:
        self.pattern = compiled(pattern, "data.layout.pattern", ["cell"])
        self.mask_pattern = compiled(mask_pattern, "data.layout.mask_pattern", ["cell"])
        self.dark_nuclei, self.require_masks = dark_nuclei, require_masks
        self.pixel_size, self.interval = pixel_size, interval

    def recordings(self, folder: Path) -> list[Recording]:
        """See `Layout.recordings`."""
        names = sorted(path for path in existing(folder).iterdir() if path.is_file())
        masks = dict(self._named(names, masks=True))
        videos = dict(self._named([path for path in names if path not in masks.values()], masks=False))
        if not videos:
            raise UserError(
                f"{folder}: none of its {len(names)} files matches data.layout.pattern={self.pattern.pattern!r}."
            )
        for cell in videos:
            if cell not in masks:
                raise UserError(
                    f"{videos[cell].name}: no file with its masks matches data.layout.mask_pattern="
                    f"{self.mask_pattern.pattern!r}. Add it, or correct the pattern."
                )
        for cell in masks.keys() - videos.keys():
            raise UserError(f"{masks[cell].name}: masks without their video.")
        return [self._recording(cell, videos[cell], masks[cell]) for cell in sorted(videos)]

    def _named(self, names: list[Path], *, masks: bool) -> Iterator[tuple[str, Path]]:
        """Files by the names of their cells."""
        seen: dict[str, Path] = {}
        for path in names:
            match = (self.mask_pattern if masks else self.pattern).fullmatch(path.name)
            if match is None:
                continue
            if match["cell"] in seen:
                raise UserError(f"{path.name} and {seen[match['cell']].name} are both {match['cell']}: remove one.")
            seen[match["cell"]] = path
            yield match["cell"], path

    def _recording(self, cell: str, path: Path, mask_path: Path) -> Recording:
        images, pixel_size, interval = read_tiff(path)
        masks, *_ = read_tiff(mask_path)
        images, masks = _stack(images, path), _stack(masks, mask_path)
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
            pixel_size=known(self.pixel_size, pixel_size),
            interval=known(self.interval, interval),
        )


def _stack(images: Image, path: Path) -> Image:
    if images.ndim != 3:
        raise UserError(f"{path.name}: has the shape {images.shape}; a video (T, H, W) of one channel is needed.")
    return images
