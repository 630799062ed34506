"""The tables that an evaluation leaves behind."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lexy.evaluation.comparison import comparison
from lexy.evaluation.sequences import whole_summary
from lexy.evaluation.summary import published_summary
from lexy.files import replacing


@dataclass(frozen=True)
class Tables:
    """The tables of an evaluation: one row per frame, and the summaries that derive from it.

    Attributes
    ----------
    frames, summary, published : DataFrame
    others : mapping of str to DataFrame
        The per-frame tables of the baselines.
    comparison : DataFrame
        A row for the network and for each baseline, and what the network is better by; empty without baselines.
    """

    frames: pd.DataFrame
    summary: pd.DataFrame
    published: pd.DataFrame
    others: Mapping[str, pd.DataFrame]
    comparison: pd.DataFrame

    @classmethod
    def of(cls, frames: Mapping[str, pd.DataFrame], network: str) -> "Tables":
        """Derive all from the per-frame tables of all methods, of which `network` is the one evaluated."""
        own = frames[network]
        others = {name: table for name, table in frames.items() if name != network}
        beside = comparison(frames, network) if others else pd.DataFrame()
        return cls(own, whole_summary(own), published_summary(own), others, beside)

    @property
    def how(self) -> str:
        """How the network was run, for the tables to say."""
        start, rollout = (str(self.frames[name].iloc[0]) for name in ("start", "rollout"))
        return "frame by frame" if start == "none" else f"{rollout} from start={start}"

    def write(self, folder: Path, split: str) -> Path:
        """Write `SPLIT_frames.parquet`, `SPLIT_baselines.parquet`, and the others as CSV; return the folder."""
        tables = {"frames": self.frames} | ({"baselines": pd.concat(self.others.values())} if self.others else {})
        for name, table in tables.items():
            with replacing(folder / f"{split}_{name}.parquet") as temporary:
                table.to_parquet(temporary, index=False)
        for name in ("summary", "published", *(["comparison"] if self.others else [])):
            with replacing(folder / f"{split}_{name}.csv") as temporary:
                getattr(self, name).assign(how=self.how).to_csv(temporary)
        return folder
