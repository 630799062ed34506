"""One file for each frame: the layout of the published LEXY videos."""

from collections import defaultdict
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt

from lexy.data.videos.layouts.reading import (
    Frame,
    Image,
    binary,
    compiled,
    existing,
    known,
    number,
    read_tiff,
    same_scale,
    together,
)
from lexy.data.videos.recording import Recording
from lexy.errors import UserError


class FrameFiles:
    """A TIFF file for each frame, with planes for image and mask, or two files.

    Parameters
    ----------
    pattern : str
        Regular expression that a whole file name must match; others are not looked at. Groups: `cell` (name of the
        video), `frame` (its number); where image and mask lie in separate files also `kind`.
    mask_kind : str
        What `kind` is for a mask.
    image_plane, mask_plane : int
        Planes of a file with several, from 0.
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
        mask_kind: str = "mask",
        image_plane: Annotated[int, Ge(0)] = 0,
        mask_plane: Annotated[int, Ge(0)] = 1,
        dark_nuclei: bool = False,
        require_masks: bool = True,
        pixel_size: Annotated[float, Gt(0)] | None = None,
        interval: Annotated[float, Gt(0)] | None = None,
    ) -> None:
        self.pattern = compiled(pattern, "data.layout.pattern", ["cell", "frame"])
        self.separate = "kind" in self.pattern.groupindex
        self.mask_kind, self.image_plane, self.mask_plane = mask_kind, image_plane, mask_plane
        self.dark_nuclei, self.require_masks = dark_nuclei, require_masks
        self.pixel_size, self.interval = pixel_size, interval

    def recordings(self, folder: Path) -> list[Recording]:
        """See `Layout.recordings`."""
        images, masks = self._files(existing(folder))
        for cell, frame in masks.keys() - images.keys():
            raise UserError(f"{masks[cell, frame]}: a mask without its image.")
        found: dict[str, dict[int, Frame]] = defaultdict(dict)
        scales: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for (cell, frame), path in sorted(images.items()):
            found[cell][frame], scale = self._read(path, masks.get((cell, frame)))
            scales[cell].append(scale)
        return [
            together(
                cell,
                frames,
                require_masks=self.require_masks,
                pixel_size=known(self.pixel_size, same_scale([size for size, _ in scales[cell]])),
                interval=known(self.interval, same_scale([interval for _, interval in scales[cell]])),
            )
            for cell, frames in sorted(found.items())
        ]

    def _files(self, folder: Path) -> tuple[dict[tuple[str, int], Path], dict[tuple[str, int], Path]]:
        """Image and mask files by cell and frame number."""
        images: dict[tuple[str, int], Path] = {}
        masks: dict[tuple[str, int], Path] = {}
        names = sorted(path for path in folder.iterdir() if path.is_file())
        for path in names:
            match = self.pattern.fullmatch(path.name)
            if match is None:
                continue
            key = match["cell"], number(match["frame"], path)
            files = masks if self.separate and match["kind"] == self.mask_kind else images
            if key in files:
                raise UserError(
                    f"{path.name} and {files[key].name} are both frame {key[1]} of {key[0]}: remove one, or tell them "
                    "apart in data.layout.pattern."
                )
            files[key] = path
        if not images:
            example = f", for example {names[0].name}" if names else ""
            raise UserError(
                f"{folder}: none of its {len(names)} files{example} matches "
                f"data.layout.pattern={self.pattern.pattern!r}."
            )
        return images, masks

    def _read(self, path: Path, mask_path: Path | None) -> tuple[Frame, tuple[float, float]]:
        image, *scale = read_tiff(path)
        mask: Image | None = None
        if self.separate:
            mask = read_tiff(mask_path)[0] if mask_path is not None else None
        elif image.ndim == 3:
            image, mask = self._planes(image, path)
        boolean = None if mask is None else binary(mask, mask_path or path, dark=self.dark_nuclei)
        return Frame(image, boolean, path), (scale[0], scale[1])

    def _planes(self, image: Image, path: Path) -> tuple[Image, Image | None]:
        """Image and mask of (planes, H, W) or (H, W, planes): the planes are the shorter end."""
        planes = image if image.shape[0] <= image.shape[2] else image.transpose(2, 0, 1)
        if self.image_plane >= len(planes):
            raise UserError(f"{path}: has {len(planes)} planes, none is data.layout.image_plane={self.image_plane}.")
        return planes[self.image_plane], planes[self.mask_plane] if self.mask_plane < len(planes) else None
