"""Write an index: the manifest of the wanted fields, and a record of what was left out and why."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lexy.acquire.download.journal import reporting_write_errors
from lexy.acquire.index.field_filter import FieldFilter
from lexy.acquire.index.field_table import FieldTable
from lexy.acquire.manifest import FieldEntry, ManifestWriter
from lexy.acquire.shards import finished_record
from lexy.files import fingerprint, write_json


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Images of a source that are not used as fields.

    Attributes
    ----------
    reason : str
        Why; one of a few texts.
    count : int
        Number of images.
    """

    reason: str
    count: int = 1


class IndexWriter:
    """Write `index.parquet` and `index.json`.

    Parameters
    ----------
    work : Path
        Folder of both files; made if it is missing.
    settings : dict
        What decides which fields there are; has `seed` and `max_fields`.
    filters : sequence of FieldFilter
        A field is kept if all of them keep it.
    """

    def __init__(self, work: Path, settings: dict[str, Any], filters: Sequence[FieldFilter]) -> None:
        self.settings, self.filters = settings, filters
        self.manifest, self.marker, self.table = (
            work / name for name in ("index.parquet", "index.json", ".index.sqlite")
        )

    def write(self, records: Callable[[], Iterator[FieldEntry | LeftOut]], source: dict[str, Any]) -> dict[str, Any]:
        """Write both files, unless they exist for the same settings and source; print the counts.

        Parameters
        ----------
        records : callable
            Iterates over everything the source lists.
        source : dict
            Identifies the contents of the source; plain values.

        Returns
        -------
        dict
            `kept` (number of fields) and `left_out` (reason → number).

        Raises
        ------
        UserError
            If no field has the value of a filter, or the folder cannot be written to.
        """
        inputs = fingerprint([self.settings, source])
        info = finished_record(self.marker, inputs) if self.manifest.is_file() else None
        title = f"index: {self.manifest} is up to date, nothing to do"
        if info is None:
            title = f"index: wrote {self.manifest}"
            with reporting_write_errors(self.manifest.parent):
                counts = self._collect(records())
                info = {"inputs": inputs, "settings": self.settings, "source": source, "counts": counts}
                write_json(self.marker, info)
        console = Console()
        console.print(title, markup=False, highlight=False, soft_wrap=True)
        console.print(_counts_table(info["counts"]))
        return info["counts"]

    def _collect(self, records: Iterable[FieldEntry | LeftOut]) -> dict[str, Any]:
        left_out: Counter[str] = Counter()
        limit = self.settings["max_fields"]
        with FieldTable(self.table, self.settings["seed"]) as table:
            for record in records:
                if isinstance(record, LeftOut):
                    left_out[record.reason] += record.count
                elif reasons := [each.reason for each in self.filters if not each.keeps(record)]:
                    left_out[reasons[0]] += 1
                else:
                    table.add(record)
            for each in self.filters:
                each.check()
            left_out["listed twice"] += table.added - len(table)
            kept = len(table) if limit is None else min(limit, len(table))
            left_out["not drawn (max_fields)"] += len(table) - kept
            self.marker.unlink(missing_ok=True)  # it describes the manifest that is replaced now
            with ManifestWriter(self.manifest) as writer:
                for entry in table.sample(limit):
                    writer.add(entry)
        return {"kept": kept, "left_out": dict(+left_out)}


def _counts_table(counts: dict[str, Any]) -> Table:
    table = Table(show_header=False, show_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("kept", str(counts["kept"]), style="bold")
    for reason, number in sorted(counts["left_out"].items(), key=lambda item: (-item[1], item[0])):
        table.add_row(f"left out: {reason}", str(number))
    return table
