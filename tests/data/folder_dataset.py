"""A dataset of the user's own, as docs/videos.md tells how to write one; it knows nothing of the tests."""

import tifffile

from lexy.data.videos.base import VideoData
from lexy.data.videos.recording import Recording
from lexy.errors import UserError


class FolderVideos(VideoData):
    """Stacks DISH_CELL.tif (T, H, W), each with its masks in DISH_CELL_mask.tif; a frame without nuclei has none."""

    name = "folder"

    def read(self) -> list[Recording]:
        """Return the videos of the folder, ascending by name."""
        recordings = []
        for path in sorted(self.folder.glob("*.tif")):
            if path.stem.endswith("_mask"):
                continue
            beside = path.with_name(f"{path.stem}_mask.tif")
            if not beside.exists():
                raise UserError(f"{beside}: missing. Every video needs its masks.")
            frames, masks = tifffile.imread(path), tifffile.imread(beside) > 0
            numbers = tuple(range(len(frames)))
            recordings.append(Recording(path.stem, frames, masks, masks.any(axis=(1, 2)), numbers, pixel_size=0.5))
        return recordings

    def group(self, recording: Recording) -> str:
        """Return the dish: cells of one dish are never on two sides of a split."""
        return recording.name.split("_")[0]
