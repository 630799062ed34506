"""A file or two for each frame: the layout of the published LEXY videos."""

from collections import defaultdict
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
    number_of,
    read_frame,
    text_of,
    together,
)
from lexy.data.videos.recording import Recording
from lexy.errors import UserError
from lexy.io.frame_names import unique
from lexy.io.readers.tiff import read_pages

Files = dict[tuple[str, int], Path]  # by cell and number of the frame


class FrameFiles:
    """A TIFF file for each frame with planes for image and mask, or two files of any format that `lexy.io` reads.

    Parameters
    ----------
    pattern : str
        Regular expression that the whole name of every file must match. Groups: `cell` (name of the video),
        `frame` (its number); where image and mask lie in separate files also `kind` or `plane`, which tells them apart.
    image_kind, mask_kind : str
        What that group holds for an image and for a mask; '' where it holds nothing.
    image_plane, mask_plane : int
        Planes of a file with several, from 0.
    ignore : str or None
        Regular expression of whole names of files to leave out.
    dark_nuclei : bool
        Whether masks are zero within nuclei.
    require_masks : bool
        False takes frames without a mask; they are not labelled.
    pixel_size : float or None
        µm; None takes it from the files.
    interval : float or None
        Seconds from frame to frame; None takes it from the files.
    """

    def __init__(
        self,
        pattern: str,
        image_kind: str = "image",
        mask_kind: str = "mask",
        image_plane: Annotated[int, Ge(0)] = 0,
        mask_plane: Annotated[int, Ge(0)] = 1,
        ignore: str | None = None,
        dark_nuclei: bool = False,
        require_masks: bool = True,
        pixel_size: Annotated[float, Gt(0)] | None = None,
        interval: Annotated[float, Gt(0)] | None = None,
    ) -> None:
        self.pattern = compiled(pattern, "data.layout.pattern", ["cell", "frame"])
        self.kind_group = next((name for name in ("kind", "plane") if name in self.pattern.groupindex), None)
        self.ignore = None if ignore is None else compiled(ignore, "data.layout.ignore")
        if image_kind == mask_kind or image_plane == mask_plane:
            raise UserError(
                "data.layout: image and mask must differ in image_kind, mask_kind; image_plane, mask_plane."
            )
        self.image_kind, self.mask_kind = image_kind, mask_kind
        self.image_plane, self.mask_plane = image_plane, mask_plane
        self.dark_nuclei, self.require_masks = dark_nuclei, require_masks
        self.pixel_size, self.interval = pixel_size, interval

    def recordings(self, folder: Path) -> list[Recording]:
        """Read all videos; see `Layout.recordings`."""
        images, masks = self._files(folder)
        for key in sorted(masks.keys() - images.keys()):
            raise UserError(f"{masks[key]}: a mask without its image.")
        videos: dict[str, dict[int, Frame]] = defaultdict(dict)
        for (cell, number), path in sorted(images.items()):
            videos[cell][number] = (
                read_frame(path, masks.get((cell, number)), dark=self.dark_nuclei)
                if self.kind_group
                else self._of_planes(path)
            )
        return [together(cell, frames, self) for cell, frames in videos.items()]

    def _files(self, folder: Path) -> tuple[Files, Files]:
        """Find image and mask files."""
        names = [path for path in files_of(folder, self.ignore) if path.is_file()]
        found: dict[bool, list[tuple[tuple[str, int], Path]]] = {False: [], True: []}  # by whether it is a mask
        for match, path in matches(names, self.pattern):
            is_mask = self.kind_group is not None and self._is_mask(match[self.kind_group] or "", path)
            found[is_mask].append(((text_of(match, "cell", path), number_of(match, path)), path))
        images, masks = (unique(files, lambda key: f"frame {key[1]} of {key[0]}") for files in found.values())
        if not images:
            example = f", for example {names[0].name}," if names else ""
            raise UserError(
                f"{folder}: none of its {len(names)} files{example} matches as an image "
                f"data.layout.pattern={self.pattern.pattern!r}. Correct it."
            )
        advice = "correct data.layout.pattern or the name, or leave it out by data.layout.ignore"
        none_left_over(names, {*images.values(), *masks.values()}, advice)
        return images, masks

    def _is_mask(self, kind: str, path: Path) -> bool:
        if kind not in (self.image_kind, self.mask_kind):
            raise UserError(
                f"{path.name}: its {self.kind_group} {kind!r} is neither data.layout.image_kind={self.image_kind!r} "
                f"nor data.layout.mask_kind={self.mask_kind!r}. Correct them, or data.layout.ignore."
            )
        return kind == self.mask_kind

    def _of_planes(self, path: Path) -> Frame:
        """Read image and mask from planes of one file."""
        file = read_pages(path)
        if self.image_plane >= len(file.planes):
            raise UserError(
                f"{path}: has {len(file.planes)} planes, none is data.layout.image_plane={self.image_plane}."
            )
        mask = None
        if self.mask_plane < len(file.planes):
            mask = binary(file.planes[self.mask_plane], path, dark=self.dark_nuclei)
        return Frame(file.planes[self.image_plane], mask, path, file.pixel_size, file.interval)
