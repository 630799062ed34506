"""Index the Human Protein Atlas: its XML → the manifest of the wanted fields."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt
from rich.console import Console

from lexy.acquire.download.politeness import Politeness
from lexy.acquire.hpa.address import Format
from lexy.acquire.hpa.atlas_xml import read_entries
from lexy.acquire.hpa.source import open_xml, source_files
from lexy.acquire.index.field_filter import FieldFilter, antibody_names
from lexy.acquire.index.writer import IndexWriter, LeftOut
from lexy.acquire.manifest import REQUIRED_CHANNELS, Channel, FieldEntry
from lexy.errors import UserError
from lexy.files import sha256


class IndexAtlas:
    """Index the atlas's fields: immunofluorescence sample images of human cell lines.

    Parameters
    ----------
    source : str
        Address of a search answer, a single entry or the whole atlas as XML; or a file of that kind, gzipped or not; or
        a folder of such files.
    politeness : Politeness
        How an address is requested; images on other than its hosts are left out.
    channels : sequence of str
        Images of each field: `blue` (nuclei) and `green` (protein), also `red` and `yellow`.
    format : str
        `jpg` (8 bits) or `tif` (16 bits; fields of withdrawn antibodies have none).
    locations : sequence of str
        Keep fields where the protein was seen, with this antibody and in this cell line, in one of these; empty: all.
    without_locations : sequence of str
        Leave out fields where it was seen in one of these.
    cell_lines : sequence of str
        Keep fields of these; empty: all.
    antibodies : sequence of str or int
        Keep fields of these, by id (`HPA004109`) or number (`4109`); empty: all.
    reliability : sequence of str
        Keep genes of these degrees (`enhanced`, `supported`, `approved`, `uncertain`); empty: all.
    max_fields : int or None
        Keep a random sample of this size; None: all.
    seed : int
        Seed of the sample, which depends on it and the fields' names alone.

    Raises
    ------
    UserError
        If the channels lack blue or green, or name one twice.

    Notes
    -----
    Values of filters are compared without case, spaces and hyphens (`FieldFilter`). They are recorded as the source
    spells them.
    """

    def __init__(
        self,
        source: str,
        politeness: Politeness,
        channels: Sequence[Channel] = REQUIRED_CHANNELS,
        format: Format = "jpg",
        locations: Sequence[str] = (),
        without_locations: Sequence[str] = (),
        cell_lines: Sequence[str] = (),
        antibodies: Sequence[str | int] = (),
        reliability: Sequence[str] = (),
        max_fields: Annotated[int, Gt(0)] | None = None,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        if not set(REQUIRED_CHANNELS) <= set(channels) or len(set(channels)) < len(channels):
            raise UserError(f"index.channels={list(channels)}: blue and green are needed, and each channel once.")
        self.source, self.channels, self.format = source, tuple(channels), format
        self.locations, self.without_locations = tuple(locations), tuple(without_locations)
        self.cell_lines, self.reliability = tuple(cell_lines), tuple(reliability)
        self.antibodies = tuple(map(str, antibodies))
        self.max_fields, self.seed, self.politeness = max_fields, seed, politeness
        self.console = Console(highlight=False, markup=False, soft_wrap=True)

    def settings(self) -> dict[str, Any]:
        """Return what decides which fields there are, as plain values."""
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
        """Write `work/index.parquet` and `work/index.json`, unless they exist for the same settings and source.

        Parameters
        ----------
        work : Path
            Folder of both files and of a downloaded source.
        fields : Path
            Not used.

        Returns
        -------
        dict
            `kept` (number of fields) and `left_out` (reason → number of images).

        Raises
        ------
        UserError
            If the source is missing, cannot be downloaded, is damaged or is no XML of the atlas; if no field has the
            value of a filter; or if `work` cannot be written to.
        """
        files = source_files(self.source, work, self.politeness, self.console)
        writer = IndexWriter(work, self.settings(), self._filters())
        return writer.write(lambda: self._read(files), {file.name: sha256(file) for file in files})

    def _read(self, files: Iterable[Path]) -> Iterator[FieldEntry | LeftOut]:
        for file in files:
            with open_xml(file, self.console) as stream:
                yield from read_entries(stream, str(file), self.channels, self.format, self.politeness.hosts)

    def _filters(self) -> list[FieldFilter]:
        return [
            FieldFilter("locations", "location", self.locations, lambda entry: entry.locations),
            FieldFilter(
                "without_locations", "location", self.without_locations, lambda entry: entry.locations, without=True
            ),
            FieldFilter("cell_lines", "cell line", self.cell_lines, lambda entry: [entry.cell_line]),
            FieldFilter("antibodies", "antibody", self.antibodies, antibody_names),
            FieldFilter("reliability", "reliability", self.reliability, lambda entry: [entry.reliability]),
        ]
