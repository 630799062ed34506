"""The tables that an evaluation leaves behind."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lexy.files import replacing


@dataclass(frozen=True)
class Tables:
    """What an evaluation gives: one row per frame, and what follows from it.

    Attributes
    ----------
    frames, summary, published : DataFrame
    """

    frames: pd.DataFrame
    summary: pd.DataFrame
    published: pd.DataFrame

    def write(self, folder: Path, split: str) -> Path:
        """Write `SPLIT_frames.parquet`, `SPLIT_summary.csv` and `SPLIT_published.csv`; gives the folder."""
        with replacing(folder / f"{split}_frames.parquet") as temporary:
            self.frames.to_parquet(temporary, index=False)
        for name in ("summary", "published"):
            with replacing(folder / f"{split}_{name}.csv") as temporary:
                getattr(self, name).to_csv(temporary)
        return folder
