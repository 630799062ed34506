"""The manifest: a Parquet file with one row per field, its properties and the files and addresses of its images.

Read and written in batches, so that the index of the whole atlas takes constant memory.
"""

import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.json import ParseOptions, ReadOptions, read_json

from lexy.errors import UserError
from lexy.files import replacing

Channel = Literal["blue", "green", "red", "yellow"]
CHANNELS: tuple[str, ...] = get_args(Channel)
REQUIRED_CHANNELS: tuple[Channel, ...] = ("blue", "green")  # nuclear stain and protein

_PART = "[A-Za-z0-9][A-Za-z0-9-]{0,39}"
FIELD_NAME = (
    rf"(?P<plate>{_PART})_(?P<well>{_PART})_(?P<number>[0-9]{{1,9}})"
    rf"(?:_(?!(?:{'|'.join(CHANNELS)})[_.])(?P<suffix>{_PART}))?"
)
_FIELD = re.compile(rf"(?:.*/)?{FIELD_NAME}", re.DOTALL)

BATCH = 1000
TEXTS = ("field", "antibody", "cell_line", "gene", "reliability", "plate", "well", "number", "release")
SCHEMA = pa.schema(
    [(name, pa.string()) for name in TEXTS]
    + [("locations", pa.list_(pa.string()))]
    + [(f"{channel}_{part}", pa.string()) for channel in CHANNELS for part in ("file", "address", "sha256")]
)


@dataclass(frozen=True, slots=True)
class ChannelImage:
    """One channel's image of a field.

    Attributes
    ----------
    file : str
        Path below the folder of fields, '/' between its parts.
    address : str
        Where it is downloaded from; empty for an image that has to exist already.
    sha256 : str
        SHA-256 of the file's bytes, 64 hexadecimal digits; empty before it is downloaded.
    """

    file: str
    address: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldEntry:
    """One field of view, as the manifest records it; unknown texts are empty.

    Attributes
    ----------
    field : str
        Unique name, `<antibody>/<plate>_<well>_<number>`: safe as a path, '/' between its parts.
    images : mapping of str to ChannelImage
        Images by channel (`blue`, `green`, optionally `red` and `yellow`).
    antibody, cell_line, gene, reliability, plate, well, number, release : str
        As the index has them; `number` is the field's number in its well, `release` the release of the atlas.
    locations : tuple of str
        Locations of the protein in this cell line.
    """

    field: str
    images: Mapping[str, ChannelImage]
    antibody: str = ""
    cell_line: str = ""
    gene: str = ""
    reliability: str = ""
    plate: str = ""
    well: str = ""
    number: str = ""
    release: str = ""
    locations: tuple[str, ...] = ()


class ManifestWriter:
    """Write a manifest row by row in constant memory; the whole file appears when the block ends without error.

    Parameters
    ----------
    path : Path
        The Parquet file, replaced if it exists.
    """

    def __init__(self, path: Path) -> None:
        self._replacing = replacing(path)
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> "ManifestWriter":
        self._temporary = self._replacing.__enter__()
        self._file = pq.ParquetWriter(self._temporary, SCHEMA)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
        self._file.close()
        self._replacing.__exit__(kind, error, trace)

    def add(self, entry: FieldEntry) -> None:
        """Append one field."""
        self._rows.append(to_row(entry))
        if len(self._rows) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        # Through JSON, because pa.array imports pandas, which takes more memory than all the rest.
        lines = "\n".join(map(json.dumps, self._rows)).encode()
        schema = ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="error")
        self._file.write_table(read_json(io.BytesIO(lines), ReadOptions(use_threads=False), schema))
        self._rows.clear()


def write_manifest(path: Path, entries: Iterable[FieldEntry]) -> None:
    """Write a manifest of these fields, in their order."""
    with ManifestWriter(path) as writer:
        for entry in entries:
            writer.add(entry)


def read_manifest(path: Path) -> list[FieldEntry]:
    """Read a whole manifest.

    Parameters
    ----------
    path : Path
        A file that `write_manifest` or `ManifestWriter` wrote.

    Returns
    -------
    list of FieldEntry
        The fields in the file's order.

    Raises
    ------
    UserError
        If the file is missing, damaged or no manifest.
    """
    try:
        table = pq.read_table(path, schema=SCHEMA)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no manifest there.") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: no readable manifest ({error}). Remove it and make it again.") from error
    return [from_row(row) for batch in table.to_batches(BATCH) for row in batch.to_pylist()]


def parse_field_name(field: str) -> tuple[str, str, str]:
    """Return plate, well and number of a name `<plate>_<well>_<number>`; empty texts for any other name."""
    match = _FIELD.fullmatch(field)
    return (match["plate"], match["well"], match["number"]) if match else ("", "", "")


def to_row(entry: FieldEntry) -> dict[str, Any]:
    """Return a field as a flat dict of plain values, with columns of the channels that have an image."""
    row: dict[str, Any] = {name: getattr(entry, name) for name in TEXTS} | {"locations": list(entry.locations)}
    for channel, image in entry.images.items():
        row |= {f"{channel}_{part}": getattr(image, part) for part in ("file", "address", "sha256")}
    return row


def from_row(row: Mapping[str, Any]) -> FieldEntry:
    """Return the field that `to_row` made a row of; columns without an image may be None or missing."""
    images = {
        channel: ChannelImage(*(row[f"{channel}_{part}"] for part in ("file", "address", "sha256")))
        for channel in CHANNELS
        if row.get(f"{channel}_file") is not None
    }
    return FieldEntry(images=images, locations=tuple(row["locations"]), **{name: row[name] for name in TEXTS})
