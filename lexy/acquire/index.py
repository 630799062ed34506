"""Stage: what the atlas says, or a folder of images → `index.parquet`, the manifest of the fields that are wanted."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt
from rich.console import Console
from rich.table import Table

from lexy.acquire.field_filter import FieldFilter
from lexy.acquire.field_table import FieldTable
from lexy.acquire.hpa.address import Channel, Format, parse_field
from lexy.acquire.hpa.atlas_xml import NEEDED, LeftOut, read_entries
from lexy.acquire.hpa.source import source_files, unpacked
from lexy.acquire.http import Politeness
from lexy.acquire.journal import writing
from lexy.acquire.manifest import ChannelImage, FieldEntry, ManifestWriter
from lexy.acquire.shards import finished
from lexy.errors import UserError
from lexy.files import fingerprint, sha256, write_json

if TYPE_CHECKING:
    from lexy.acquire.fields import FieldFiles


class IndexAtlas:
    """The Human Protein Atlas's fields: immunofluorescence sample images of human cell lines.

    Parameters
    ----------
    source : str
        Address of a search answer, a single entry or the whole atlas as XML; or a file of that kind, gzipped or not; or
        a folder of such files.
    politeness : Politeness
        How an address is asked; images on other than its hosts are left out.
    channels : sequence of str
        Images that a field gets: `blue` (nuclei) and `green` (protein), also `red` and `yellow`.
    format : str
        `jpg` (8 bits) or `tif` (16 bits; fields of withdrawn antibodies have none).
    locations : sequence of str
        Keep fields where the protein was seen, in that antibody and cell line, in one of these; empty: all.
    without_locations : sequence of str
        Leave out fields where it was seen in one of these.
    cell_lines : sequence of str
        Keep fields of these; empty: all.
    antibodies : sequence of str or int
        Keep fields of these, by id (`HPA004109`) or number (`4109`); empty: all.
    reliability : sequence of str
        Keep genes of these degrees (`enhanced`, `supported`, `approved`, `uncertain`); empty: all.
    max_fields : int or None
        Keep that many, drawn by lot; None: all.
    seed : int
        Of the draw, which depends on it and the fields' names alone.

    Raises
    ------
    UserError
        If the channels lack blue or green, or name one twice.

    Notes
    -----
    Values of filters are compared without case, spaces and hyphens, see `FieldFilter`. They are written as the source
    has them.
    """

    def __init__(
        self,
        source: str,
        politeness: Politeness,
        channels: Sequence[Channel] = NEEDED,
        format: Format = "jpg",
        locations: Sequence[str] = (),
        without_locations: Sequence[str] = (),
        cell_lines: Sequence[str] = (),
        antibodies: Sequence[str | int] = (),
        reliability: Sequence[str] = (),
        max_fields: Annotated[int, Gt(0)] | None = None,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        if not set(NEEDED) <= set(channels) or len(set(channels)) < len(channels):
            raise UserError(f"index.channels={list(channels)}: blue and green are needed, and each channel once.")
        self.source, self.channels, self.format = source, tuple(channels), format
        self.locations, self.without_locations = tuple(locations), tuple(without_locations)
        self.cell_lines, self.reliability = tuple(cell_lines), tuple(reliability)
        self.antibodies = tuple(map(str, antibodies))
        self.max_fields, self.seed, self.politeness = max_fields, seed, politeness
        self.console = Console()

    def settings(self) -> dict[str, Any]:
        """What decides which fields there are, as plain values."""
        return {
            "source": self.source,
            "channels": list(self.channels),
            "format": self.format,
            "locations": list(self.locations),
            "without_locations": list(self.without_locations),
            "cell_lines": list(self.cell_lines),
            "antibodies": list(self.antibodies),
            "reliability": list(self.reliability),
            "max_fields": self.max_fields,
            "seed": self.seed,
            "hosts": list(self.politeness.hosts),
        }

    def run(self, work: Path, fields: Path) -> dict[str, Any]:
        """Write `work/index.parquet` and `work/index.json`, unless they are there for these settings and this source.

        Parameters
        ----------
        work : Path
            Gets these, and what is downloaded.
        fields : Path
            Not looked at.

        Returns
        -------
        dict
            `kept` (number of fields) and `left_out` (reason → number of images).

        Raises
        ------
        UserError
            The source is missing, cannot be had, is damaged or no XML of the atlas; or no field has a filter's value;
            or `work` cannot be written to.
        """
        files = source_files(self.source, work, self.politeness, self.console)
        index = _Index(work, self.settings(), self._filters(), self.console)
        return index.write(lambda: self._read(files), {file.name: sha256(file) for file in files})

    def _read(self, files: Iterable[Path]) -> Iterator[FieldEntry | LeftOut]:
        for file in files:
            with unpacked(file, self.console) as stream:
                yield from read_entries(stream, str(file), self.channels, self.format, self.politeness.hosts)

    def _filters(self) -> list[FieldFilter]:
        return [
            FieldFilter("locations", "location", self.locations, lambda entry: entry.locations),
            FieldFilter(
                "without_locations", "location", self.without_locations, lambda entry: entry.locations, without=True
            ),
            FieldFilter("cell_lines", "cell line", self.cell_lines, lambda entry: [entry.cell_line]),
            FieldFilter("antibodies", "antibody", self.antibodies, _antibodies),
            FieldFilter("reliability", "reliability", self.reliability, lambda entry: [entry.reliability]),
        ]


class IndexFolder:
    """Fields whose images are there already, as `<antibody>/<name>_blue.<ext>` and `…_green.<ext>` in one folder.

    Parameters
    ----------
    antibodies : sequence of str or int
        Keep fields of these, the names of their folders; empty: all.
    max_fields : int or None
        Keep that many, drawn by lot; None: all.
    seed : int
        Of the draw, which depends on it and the fields' names alone.

    Notes
    -----
    A field is called as its files are. `plate`, `well` and `number` are known where they are called as in the atlas.
    """

    def __init__(
        self,
        antibodies: Sequence[str | int] = (),
        max_fields: Annotated[int, Gt(0)] | None = None,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.antibodies, self.max_fields, self.seed = tuple(map(str, antibodies)), max_fields, seed
        self.console = Console()

    def settings(self) -> dict[str, Any]:
        """What decides which fields there are, as plain values."""
        return {"antibodies": list(self.antibodies), "max_fields": self.max_fields, "seed": self.seed}

    def run(self, work: Path, fields: Path) -> dict[str, Any]:
        """Write `work/index.parquet` and `work/index.json`, unless they are there for the same files and settings.

        Parameters
        ----------
        work : Path
            Gets these. Files that were left out are listed in the latter, with the reason.
        fields : Path
            Folder of the images; nothing in it is changed.

        Returns
        -------
        dict
            `kept` (number of fields) and `left_out` (reason → number of fields).

        Raises
        ------
        UserError
            There is no such folder, it holds no fields, no field has a filter's value, or `work` cannot be written to.
        """
        from lexy.acquire.fields import EXPECTED, Problem, find_fields  # whoever indexes the atlas needs no images

        found, problems = find_fields(fields)
        if not found and not problems:
            raise UserError(f"{fields}: no fields found. Expected {EXPECTED}.")
        entries = [_entry(files, Path(fields)) for files in found]
        usable = [entry for entry in entries if _is_plain(entry)]
        odd = [entry for entry in entries if not _is_plain(entry)]
        problems += [Problem(ascii(entry.images["blue"].file), "name with odd characters") for entry in odd]

        def records() -> Iterator[FieldEntry | LeftOut]:
            yield from usable
            yield from (LeftOut(problem.reason.partition(",")[0]) for problem in problems)

        filters = [FieldFilter("antibodies", "antibody", self.antibodies, _antibodies)]
        listing = fingerprint([[image.file for image in entry.images.values()] for entry in usable])
        source = {"listing": listing, "left_out": [[problem.file, problem.reason] for problem in problems]}
        return _Index(work, self.settings(), filters, self.console).write(records, source)


class _Index:
    """Writes the two files of an index."""

    def __init__(self, work: Path, settings: dict[str, Any], filters: Sequence[FieldFilter], console: Console) -> None:
        self.settings, self.filters, self.console = settings, filters, console
        self.manifest, self.marker, self.table = (
            work / name for name in ("index.parquet", "index.json", ".index.sqlite")
        )

    def write(self, records: Callable[[], Iterator[FieldEntry | LeftOut]], source: dict[str, Any]) -> dict[str, Any]:
        """Write them from `records`, unless they are there for the same settings and source; give the counts."""
        inputs = fingerprint([self.settings, source])
        info = finished(self.marker, inputs) if self.manifest.is_file() else None
        if info is None:
            with writing(self.manifest.parent):
                counts = self._collect(records())
                info = {"inputs": inputs, "settings": self.settings, "source": source, "counts": counts}
                write_json(self.marker, info)
            self._report(info["counts"], f"index: wrote {self.manifest}")
        else:
            self._report(info["counts"], f"index: {self.manifest} is up to date, nothing to do")
        return info["counts"]

    def _collect(self, records: Iterable[FieldEntry | LeftOut]) -> dict[str, Any]:
        left_out: Counter[str] = Counter()
        limit = self.settings["max_fields"]
        with FieldTable(self.table, self.settings["seed"]) as table:
            for record in records:
                if isinstance(record, LeftOut):
                    left_out[record.reason] += record.count
                elif unwanted := [each.reason for each in self.filters if not each.keeps(record)]:
                    left_out[unwanted[0]] += 1
                else:
                    table.add(record)
            for each in self.filters:
                each.check()
            left_out["listed twice"] += table.added - len(table)
            kept = len(table) if limit is None else min(limit, len(table))
            left_out["not drawn (max_fields)"] += len(table) - kept
            self.marker.unlink(missing_ok=True)  # it speaks of the manifest that is replaced now
            with ManifestWriter(self.manifest) as writer:
                for entry in table.draw(limit):
                    writer.add(entry)
        return {"kept": kept, "left_out": dict(+left_out)}

    def _report(self, counts: dict[str, Any], title: str) -> None:
        table = Table(show_header=False, show_edge=False)
        table.add_column()
        table.add_column(justify="right")
        table.add_row("kept", str(counts["kept"]), style="bold")
        for reason, number in sorted(counts["left_out"].items(), key=lambda item: (-item[1], item[0])):
            table.add_row(f"left out: {reason}", str(number))
        self.console.print(title, markup=False, highlight=False, soft_wrap=True)
        self.console.print(table)


def _antibodies(entry: FieldEntry) -> list[str]:
    return [entry.antibody, entry.field.rpartition("/")[0].rpartition("/")[2]]


def _entry(files: "FieldFiles", root: Path) -> FieldEntry:
    plate, well, number = parse_field(files.name)
    images = {"blue": files.blue, "green": files.green}
    return FieldEntry(
        field=files.name,
        images={channel: ChannelImage(path.relative_to(root).as_posix()) for channel, path in images.items()},
        antibody=files.antibody,
        plate=plate,
        well=well,
        number=number,
    )


def _is_plain(entry: FieldEntry) -> bool:
    return all(image.file.isprintable() and "\\" not in image.file for image in entry.images.values())
