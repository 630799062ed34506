"""A server with six fields, and a folder to bring them to."""

import contextlib
import csv
from pathlib import Path
from typing import Any

from acquire.atlas_server import Atlas, body, jpeg

from lexy.acquire.download.images import DownloadImages
from lexy.acquire.download.politeness import Politeness
from lexy.acquire.manifest import ChannelImage, FieldEntry, read_manifest, write_manifest

QUICK = Politeness(
    hosts=("127.0.0.1",), rate=1000, read_timeout=5, attempts=2, backoff=0.01, max_wait=2, max_bytes=1_000_000
)


FILES = [f"5000{at // 2}/1_A1_{at % 2}_{channel}.jpg" for at in range(6) for channel in ("blue", "green")]


CONTENTS = {file: jpeg(at) for at, file in enumerate(FILES)}


ONE = FILES[2]


GOOD = CONTENTS[ONE]


def heal(atlas: Atlas) -> None:
    """From now on it has all files and forgets what it was asked for."""
    atlas.answers = {f"/{file}": [body(content)] for file, content in CONTENTS.items()}
    atlas.asked.clear()


def field(blue: str, green: str, address: str = "", **others: str) -> FieldEntry:
    files = {"blue": blue, "green": green, **others}
    images = {name: ChannelImage(file, address and f"{address}/{file}") for name, file in files.items()}
    return FieldEntry(field=blue.rsplit("_", 1)[0], antibody=blue.split("/")[0], locations=("Cytosol",), images=images)


def entries(address: str = "", files: list[str] = FILES) -> list[FieldEntry]:
    """Fields of two files each, with addresses or without."""
    return [field(*pair, address) for pair in zip(files[::2], files[1::2], strict=True)]


def put(folder: Path, contents: dict[str, bytes] = CONTENTS) -> Path:
    for file, content in contents.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    return folder


class Room:
    """A folder with an index, and what comes of downloading it."""

    def __init__(self, folder: Path, index: list[FieldEntry]) -> None:
        self.work, self.fields = folder / "work", folder / "fields"
        self.work.mkdir(parents=True)
        self.index(index)

    def index(self, entries: list[FieldEntry]) -> None:
        write_manifest(self.work / "index.parquet", entries)

    def run(self, politeness: Politeness = QUICK, **settings: Any) -> dict[str, int]:
        return DownloadImages(politeness, **settings).run(self.work, self.fields)

    @property
    def manifest(self) -> list[FieldEntry]:
        return read_manifest(self.work / "downloaded.parquet")

    @property
    def report(self) -> list[list[str]]:
        with (self.work / "download_report.csv").open(newline="") as file:
            head, *rows = csv.reader(file)
        assert head == ["file", "address", "reason"]
        return rows

    def noted(self) -> int:
        """Lines of the journal."""
        with contextlib.suppress(FileNotFoundError):
            return (self.work / "downloads.jsonl").read_bytes().count(b"\n")
        return 0

    def state(self) -> dict[str, bytes]:
        """Everything that has to be the same whatever happened on the way."""
        files = [path for path in self.fields.rglob("*") if path.is_file() and path.name != ".images.lock"]
        results = [self.work / name for name in ("downloaded.parquet", "download.json", "download_report.csv")]
        return {path.relative_to(self.work.parent).as_posix(): path.read_bytes() for path in files + results}


HTML = b"<!DOCTYPE html><html><body>Please come back later</body></html>"
