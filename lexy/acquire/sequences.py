"""Write a fixed set of synthetic clips to disk, with film strips of some of them."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import zarr
from annotated_types import Gt
from rich.console import Console
from rich.progress import track

from lexy.clip import Clip
from lexy.data.synthetic import SyntheticSequences
from lexy.errors import UserError
from lexy.files import fingerprint, replacing_folder, sha256, write_json

FORMAT = 1
RECORD = "sequences.json"


class WriteSequences:
    """Write the fixed clips of a split to disk, the same on any machine.

    The folder holds `clips.zarr` (a group with `frames` (N, T, H, W) uint16, where 65,535 is 1, and `masks`
    (N, T, H, W) uint8), `clips.parquet` (a row for each frame, in the arrays' order: `clip`, `video`, `group`, `frame`,
    `contrast`), `strips.png` and, written last, `sequences.json` (format, settings with split and fold, counts, SHA-256
    of the table).

    Parameters
    ----------
    data : SyntheticSequences
        Source of the clips.
    folder : str
        Folder to make, whole or not at all.
    split : {'train', 'val', 'test'}
        Split to write.
    strips : int
        Number of clips on the sheet of film strips, spread evenly over the set.
    overwrite : bool
        Replace a set that was made with other settings.
    """

    def __init__(
        self,
        data: SyntheticSequences,
        folder: str,
        split: Literal["train", "val", "test"] = "test",
        strips: Annotated[int, Gt(0)] = 12,
        overwrite: bool = False,
    ) -> None:
        self.data, self.folder, self.split = data, Path(folder).absolute(), split
        self.strips, self.overwrite = strips, overwrite

    def run(self) -> None:
        """Make the set, unless it exists with the same settings.

        Raises
        ------
        UserError
            If no still can be used, the folder holds something else and `overwrite` is off, or another process writes
            to it.
        """
        console = Console(highlight=False, soft_wrap=True)
        settings = {**self.data.settings(), "split": self.split, "fold": self.data.fold}
        busy = f"{self.folder}: another process is writing there. Wait for it to end."
        with replacing_folder(self.folder, last=[RECORD], busy=busy) as partial:
            if self._is_there(settings):
                console.print(f"{self.folder} is up to date (same stills, same settings): nothing to do.")
                return
            table = self._write(partial, console)
            counts = {"clips": int(table["clip"].nunique()), "fields": int(table["group"].nunique())}
            record = {"format": FORMAT, "settings": settings, "counts": counts}
            write_json(partial / RECORD, record | {"table_sha256": sha256(partial / "clips.parquet")})
        console.print(f"clips: {counts['clips']} from {counts['fields']} fields, {len(table)} frames · {self.folder}")

    def _is_there(self, settings: dict[str, Any]) -> bool:
        if not self.folder.exists() or not any(self.folder.iterdir()):
            return False
        try:
            found = json.loads((self.folder / RECORD).read_text())["settings"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.folder}: holds other files than a set of sequences. Name another folder in prepare.folder."
            ) from error
        if fingerprint(found) == fingerprint(settings):
            return True
        if not self.overwrite:
            raise UserError(
                f"{self.folder} was made from other stills or with other settings (see {RECORD} there). Name another "
                "folder in prepare.folder, or replace it with prepare.overwrite=true."
            )
        return False

    def _write(self, folder: Path, console: Console) -> pd.DataFrame:
        """Write arrays, table and film strips; return the table."""
        from lexy.report import PHANTOM
        from lexy.report.strips import draw_strips

        count = len(self.data.rows(self.split)) * self.data.clips_per_still
        shown = np.linspace(0, count - 1, min(self.strips, count)).round().astype(int).tolist()
        group = zarr.create_group(folder / "clips.zarr")
        tables: list[pd.DataFrame] = []
        strips: list[tuple[Any, ...]] = []  # arguments of draw_strips, clip by clip
        first = 0
        loader = self.data.loader(self.split)
        for clip in track(loader, "clips", console=console, transient=True, disable=not console.is_terminal):
            frames, masks, contrast = (clip[key].numpy() for key in ("frames", "masks", "contrast"))
            frames, masks = frames[:, :, 0], masks[:, :, 0]
            arrays = {"frames": np.rint(frames * 65535).astype(np.uint16), "masks": masks.astype(np.uint8)}
            for name, array in arrays.items():
                if name not in group:
                    shape = array.shape[1:]
                    group.create_array(name, shape=(count, *shape), dtype=array.dtype, chunks=(1, *shape))
                group[name][first : first + len(array)] = array
            tables.append(_rows(clip, first))
            chosen = [index - first for index in shown if 0 <= index - first < len(frames)]
            strips += [(frames[i], masks[i], contrast[i], clip["video"][i]) for i in chosen]
            first += len(frames)
        table = pd.concat(tables, ignore_index=True)
        table.to_parquet(folder / "clips.parquet", index=False)
        title = f"{self.split} split, {self.data.source.name} stills; over each frame: its index and contrast"
        title += f"\n{PHANTOM}" if self.data.embedded else ""
        frames, masks, contrast, names = zip(*strips, strict=True)
        draw_strips(frames, masks, contrast, names, title, folder / "strips.png")
        return table


def _rows(clip: Clip, first: int) -> pd.DataFrame:
    """Return a row for each frame of a batch whose first clip has index `first` in the arrays."""
    count, time = clip["frame"].shape
    return pd.DataFrame(
        {
            "clip": np.repeat(np.arange(first, first + count), time),
            "video": np.repeat(np.array(clip["video"], object), time),
            "group": np.repeat(np.array(clip["group"], object), time),
            "frame": clip["frame"].numpy().ravel(),
            "contrast": clip["contrast"].numpy().ravel(),
        }
    )
