"""Read fields from the atlas's XML as a stream: memory holds the cell-line part of one entry at a time.

The parser expands no entities and loads nothing from elsewhere. A document type declaration, in which entities are
declared and which the atlas's files do not have, is refused.
"""

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.ElementTree import DefusedXMLParser  # type: ignore[import-untyped]

from lexy.acquire.hpa.address import HOSTS, Format, UnusableImage, parse_address
from lexy.acquire.index.writer import LeftOut
from lexy.acquire.manifest import REQUIRED_CHANNELS, Channel, FieldEntry
from lexy.errors import UserError

CHUNK = 1 << 18  # bytes read at once
MAX_DEPTH = 100  # nested elements
MAX_SIZE = 10_000_000  # characters about cell lines in one entry
ANTIBODY = re.compile(r"[A-Z]{1,9}[0-9]{1,9}")

# (parent, element) that are kept until their entry ends; the atlas has `cellExpression` at two levels.
KEPT = {("entry", "name"), ("entry", "identifier"), ("entry", "cellExpression"), ("antibody", "cellExpression")}
ENTRY_PATHS: tuple[list[str], ...] = ([], ["proteinAtlas"])  # parents of an entry
KEPT_NAMES = frozenset(name for _, name in KEPT)
ASSAYS = {"mouse": "mouse", "sirna": "siRNA", "gfp": "GFP"}
# Stacks of planes, of which each is listed as an image (github.com/CellProfiling/HPA_Cilia_Study_Code, 2025).
STACKS = "ciliated cell lines"


def read_entries(
    stream: BinaryIO,
    source: str,
    channels: Sequence[Channel] = REQUIRED_CHANNELS,
    format: Format = "jpg",
    hosts: Sequence[str] = HOSTS,
) -> Iterator[FieldEntry | LeftOut]:
    """Read the fluorescence images of human cell lines, in constant memory.

    Parameters
    ----------
    stream : binary file
        XML with the root `proteinAtlas` (the whole atlas or the answer to a search) or `entry`, not compressed.
    source : str
        Name of the stream in messages.
    channels, format
        Channels and format of the fields' images, as of `FieldAddress.images`.
    hosts : sequence of str
        Images on other hosts are left out.

    Yields
    ------
    FieldEntry or LeftOut
        Every image of the file counts once, as a field or as left out. The images of an entry follow when it ends.

    Raises
    ------
    UserError
        If the file is damaged, incomplete, no such XML, or has a document type declaration; names source and place.
    """
    target = _EntryCollector()
    parser = DefusedXMLParser(target=target, forbid_dtd=True)

    def place() -> str:
        return f"{source}, line {parser.parser.CurrentLineNumber}, column {parser.parser.CurrentColumnNumber}"

    while True:
        try:
            chunk = stream.read(CHUNK)
            parser.feed(chunk) if chunk else parser.close()
        except ParseError as error:
            raise UserError(f"{source}: no whole XML ({error}). Get the file again.") from error
        except DefusedXmlException as error:
            raise UserError(
                f"{place()}: a document type declaration, or an entity in it, is refused: an atlas has none. "
                "Is it a web page? Get the file again."
            ) from error
        except (EOFError, zlib.error, OSError) as error:
            raise UserError(f"{place()}: the file cannot be read on ({error}). Get it again.") from error
        except (_Defect, LookupError, ValueError) as error:  # the latter two: an unknown encoding
            raise UserError(f"{place()}: {error}. Get the file again.") from error
        for entry in target.take():
            yield from _fields(entry, channels, format, hosts)
        if not chunk:
            return


class _Defect(Exception):
    """Content that no file of the atlas has; the message says what."""


@dataclass(slots=True)
class _Entry:
    release: str = ""
    gene: str = ""
    identifier: str = ""
    reliability: str = ""
    expressions: list[tuple[str, Element]] = field(default_factory=list)  # with the antibody's id
    others: Counter[str] = field(default_factory=Counter)  # images of no cell line, by reason


class _EntryCollector:
    """Target of the parser: collects what is kept, entry by entry."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._tree: TreeBuilder | None = None
        self._kept_from = 0  # length of the path to the tree's root
        self._entry = _Entry()
        self._antibody = ""
        self._size = 0
        self._ended: list[_Entry] = []

    def take(self) -> list[_Entry]:
        """Return the entries that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        path = self._path
        if self._tree is not None:
            self._tree.start(tag, attributes)
            self._grow(1)
        elif tag in KEPT_NAMES and path and (path[-1], tag) in KEPT:
            self._tree, self._kept_from = TreeBuilder(), len(path)
            self._tree.start(tag, attributes)
        elif tag == "image":
            self._entry.others["tissue" if "tissueExpression" in path else "other assay"] += 1
        elif tag == "antibody":
            self._antibody = attributes.get("id", "")
        elif tag == "entry" and path in ENTRY_PATHS:
            self._entry.release = _single_line(attributes.get("version", ""))
        if not path and tag not in ("entry", "proteinAtlas"):
            raise _Defect(f"no XML of the atlas: its root is {tag[:40]!r}, not 'proteinAtlas' or 'entry'")
        if len(path) == MAX_DEPTH:
            raise _Defect(f"elements within elements, more than {MAX_DEPTH} deep")
        path.append(tag)

    def data(self, text: str) -> None:
        if self._tree is not None:
            self._tree.data(text)
            self._grow(len(text))

    def end(self, tag: str) -> None:
        path = self._path
        path.pop()
        if self._tree is not None:
            self._tree.end(tag)
            if len(path) == self._kept_from:
                self._keep(self._tree.close())
                self._tree = None
        elif tag == "antibody":
            self._antibody = ""
        elif tag == "entry" and path in ENTRY_PATHS:
            self.close()

    def close(self) -> None:
        self._ended.append(self._entry)
        self._entry, self._size = _Entry(), 0

    def _keep(self, element: Element) -> None:
        if element.tag == "name":
            self._entry.gene = _text(element)
        elif element.tag == "identifier":
            self._entry.identifier = _single_line(element.get("id", ""))
        else:
            self._entry.expressions.append((self._antibody, element))
            if not self._antibody:
                self._entry.reliability = _text(element.find("verification[@type='reliability']"))

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MAX_SIZE:
            raise _Defect(f"an entry with more than {MAX_SIZE:.0e} characters about cell lines")


def _fields(
    entry: _Entry, channels: Sequence[Channel], format: Format, hosts: Sequence[str]
) -> Iterator[FieldEntry | LeftOut]:
    yield from (LeftOut(reason, count) for reason, count in entry.others.items())
    for antibody, expression in entry.expressions:
        for image, data, reason in _images(expression):
            if image.get("imageType") == "selected":
                yield LeftOut("selected")
            elif data is None:
                yield LeftOut(reason)
            else:
                try:
                    yield _field(entry, antibody, data, image, channels, format, hosts)
                except UnusableImage as error:
                    yield LeftOut(str(error))


def _images(expression: Element) -> Iterator[tuple[Element, Element | None, str]]:
    """Iterate over images with the `data` of their cell line, or None and a reason to leave the image out."""
    for assay in expression:
        reason = _exclusion_reason(expression, assay)
        for part in assay if assay.tag == "subAssay" else [assay]:
            data = part if part.tag == "data" and not reason else None
            for image in part.iter("image"):
                yield image, data, reason or "no sample image"


def _exclusion_reason(expression: Element, assay: Element) -> str:
    kind = assay.get("type", "")
    if expression.get("technology", "").upper() != "ICC/IF":
        return "no immunofluorescence"
    if assay.tag == "customAssay":
        return "custom assay"
    if assay.tag != "subAssay" or kind != "human":
        return ASSAYS.get(kind, "other assay")
    return "stack of planes" if assay.get("subtype", "").lower() == STACKS else ""


def _field(
    entry: _Entry,
    antibody: str,
    data: Element,
    image: Element,
    channels: Sequence[Channel],
    format: Format,
    hosts: Sequence[str],
) -> FieldEntry:
    if image.get("imageType") != "sampleImage":
        raise UnusableImage("no sample image")
    if not (text := _text(image.find("imageUrl"))):
        raise UnusableImage("no address")
    if not ANTIBODY.fullmatch(antibody):
        raise UnusableImage("no antibody id")
    if not (cell_line := _text(data.find("cellLine"))):
        raise UnusableImage("no cell line")
    address = parse_address(text, hosts)
    stated = {channel.get("color") for channel in image.iter("channel")} or set(address.channels)
    for channel in REQUIRED_CHANNELS:
        if channel not in address.channels or channel not in stated:
            raise UnusableImage(f"no {channel} channel")
    return FieldEntry(
        field=address.field,
        images=address.images(channels, format),
        antibody=antibody,
        cell_line=cell_line,
        gene=entry.gene or entry.identifier,
        reliability=entry.reliability,
        plate=address.plate,
        well=address.well,
        number=address.number,
        release=entry.release,
        locations=tuple(filter(None, map(_text, data.findall("location")))),
    )


def _text(element: Element | None) -> str:
    return _single_line("" if element is None else element.text or "")


def _single_line(text: str) -> str:
    """Return the text on one line, without control characters."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())
