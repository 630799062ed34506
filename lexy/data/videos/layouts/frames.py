"""One file for each frame: the layout of the published LEXY videos."""

from collections import defaultdict
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt

from lexy.data.videos.layouts.reading import (
    Frame,
    Image,
    Tiff,
    binary,
    compiled,
    files_of,
    none_left_over,
    number_of,
    read_tiff,
    scale,
    text_of,
    together,
)
from lexy.data.videos.recording import Recording
from lexy.errors import UserError

Files = dict[tuple[str, int], Path]  # by cell and number of the frame


class FrameFiles:
    """A TIFF file for each frame, with planes for image and mask, or two files.

    Parameters
    ----------
    pattern : str
        Regular expression that the whole name of every TIFF file must match. Groups: `cell` (name of the video),
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
        """See `Layout.recordings`."""
        images, masks = self._files(folder)
        for key in sorted(masks.keys() - images.keys()):
            raise UserError(f"{masks[key]}: a mask without its image.")
        videos: dict[str, dict[int, tuple[Frame, Tiff]]] = defaultdict(dict)
        for (cell, frame), path in sorted(images.items()):
            videos[cell][frame] = self._read(path, masks.get((cell, frame)))
        return [
            together(
                cell,
                {number: frame for number, (frame, _) in frames.items()},
                require_masks=self.require_masks,
                pixel_size=scale(self.pixel_size, [f.pixel_size for _, f in frames.values()], "pixel_size", cell),
                interval=scale(self.interval, [f.interval for _, f in frames.values()], "interval", cell),
            )
            for cell, frames in videos.items()
        ]

    def _files(self, folder: Path) -> tuple[Files, Files]:
        """Image and mask files."""
        images: Files = {}
        masks: Files = {}
        names = files_of(folder, self.ignore)
        for path in names:
            match = self.pattern.fullmatch(path.name)
            if match is None:
                continue
            key = text_of(match, "cell", path), number_of(match, path)
            files = masks if self.kind_group and self._is_mask(match[self.kind_group] or "", path) else images
            if key in files:
                raise UserError(
                    f"{path.name} and {files[key].name} are both frame {key[1]} of {key[0]}: remove one, or tell them "
                    "apart in data.layout.pattern."
                )
            files[key] = path
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

    def _read(self, path: Path, mask_path: Path | None) -> tuple[Frame, Tiff]:
        file = read_tiff(path)
        if self.kind_group:
            image, mask = file.single(), None if mask_path is None else read_tiff(mask_path).single()
        else:
            image, mask = self._planes(file)
        return Frame(
            image, None if mask is None else binary(mask, mask_path or path, dark=self.dark_nuclei), path
        ), file

    def _planes(self, file: Tiff) -> tuple[Image, Image | None]:
        """Image and mask of pages, which may differ in type, or of (planes, H, W) or (H, W, planes)."""
        planes: list[Image] = [plane for image in file.images for plane in _split(image)]
        if any(plane.ndim != 2 for plane in planes):
            shapes = ", ".join(str(image.shape) for image in file.images)
            raise UserError(f"{file.path}: an image of shape {shapes}; planes (H, W) are needed.")
        if self.image_plane >= len(planes):
            raise UserError(
                f"{file.path}: has {len(planes)} planes, none is data.layout.image_plane={self.image_plane}."
            )
        return planes[self.image_plane], planes[self.mask_plane] if self.mask_plane < len(planes) else None


def _split(image: Image) -> list[Image]:
    """Planes of an image: they are counted along the shorter of the outer axes."""
    if image.ndim != 3:
        return [image]
    return list(image if image.shape[0] <= image.shape[2] else image.transpose(2, 0, 1))
