import contextlib
import csv
import gzip
import hashlib
import io
import json
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from acquire.atlas_server import Answer, Atlas, body, cut, jpeg, redirect, status
from cli_runs import REPOSITORY, environment
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from lexy.acquire import http
from lexy.acquire.download import DownloadImages, _is_safe
from lexy.acquire.http import Politeness
from lexy.acquire.journal import Journal, Whole
from lexy.acquire.manifest import ChannelImage, FieldEntry, read_manifest, write_manifest
from lexy.acquire.shards import only_one
from lexy.errors import UserError
from lexy.files import sha256

QUICK = Politeness(
    hosts=("127.0.0.1",), rate=1000, read_timeout=5, attempts=2, backoff=0.01, max_wait=2, max_bytes=1_000_000
)
FILES = [f"5000{at // 2}/1_A1_{at % 2}_{channel}.jpg" for at in range(6) for channel in ("blue", "green")]
CONTENTS = {file: jpeg(at) for at, file in enumerate(FILES)}
ONE = FILES[2]
GOOD = CONTENTS[ONE]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def heal(atlas: Atlas) -> None:
    """From now on it has all files and forgets what it was asked for."""
    atlas.answers = {f"/{file}": [body(content)] for file, content in CONTENTS.items()}
    atlas.asked.clear()


@pytest.fixture
def atlas() -> Iterator[Atlas]:
    server = Atlas()
    heal(server)
    with server.running():
        yield server


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


def test_images_come_with_their_hashes_in_the_order_of_the_index(atlas: Atlas, tmp_path: Path) -> None:
    index = entries(atlas.address)[::-1]
    room = Room(tmp_path, index)
    counts = room.run()
    size = sum(map(len, CONTENTS.values()))
    assert counts == {"fields": 6, "failed_fields": 0, "images": 12, "failed_images": 0, "bytes": size}
    assert {file: (room.fields / file).read_bytes() for file in FILES} == CONTENTS
    for entry, wanted in zip(room.manifest, index, strict=True):
        assert replace(entry, images=wanted.images) == wanted
        for channel, image in entry.images.items():
            digest = hashlib.sha256(CONTENTS[image.file]).hexdigest()
            assert image == replace(wanted.images[channel], sha256=digest)
    assert room.report == []
    assert atlas.count() == dict.fromkeys((f"/{file}" for file in FILES), 1)
    info = json.loads((room.work / "download.json").read_text())
    assert info["counts"] == counts
    assert info["index"] == sha256(room.work / "index.parquet")
    assert info["settings"]["politeness"]["rate"] == 1000


def test_again_does_nothing_and_says_so(
    atlas: Atlas, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path, entries(atlas.address))
    counts = room.run()
    before, inode = room.state(), (room.work / "downloaded.parquet").stat().st_ino
    atlas.asked.clear()
    monkeypatch.setattr("lexy.acquire.bring.check_image", None)  # no image is looked at either
    assert room.run() == counts
    assert "nothing to do" in capsys.readouterr().out
    assert room.state() == before
    assert (room.work / "downloaded.parquet").stat().st_ino == inode
    assert atlas.asked == []


def test_only_what_is_new_in_the_index_is_asked_for(atlas: Atlas, tmp_path: Path) -> None:
    room = Room(tmp_path, entries(atlas.address, FILES[:8]))
    room.run()
    atlas.asked.clear()
    room.index(entries(atlas.address))
    room.run()
    assert set(atlas.asked) == {f"/{file}" for file in FILES[8:]}
    assert len(room.manifest) == 6


def test_what_is_there_without_a_journal_is_checked_and_not_asked_for(atlas: Atlas, tmp_path: Path) -> None:
    room = Room(tmp_path, entries(atlas.address))
    room.run()
    before = room.state()
    for file in room.work.glob("download*"):
        file.unlink()
    (room.fields / FILES[0]).unlink()
    put(room.fields, {FILES[1]: CONTENTS[FILES[1]][:-20]})
    atlas.asked.clear()
    room.run()
    assert sorted(atlas.asked) == sorted(f"/{file}" for file in FILES[:2])
    assert room.state() == before


def test_a_file_that_was_changed_is_checked_and_hashed_again(tmp_path: Path) -> None:
    room = Room(tmp_path, entries())
    put(room.fields)
    put(room.fields, {ONE: jpeg(1).ljust(5000, b"\0")})
    room.run()
    put(room.fields, {ONE: jpeg(99).ljust(5000, b"\0")})  # of the same size
    room.run()
    assert room.manifest[1].images["blue"].sha256 == sha256(room.fields / ONE)
    assert len(room.manifest) == 6


def encoded(image: Image.Image, format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few kB that claims 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    packed = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


HTML = b"<!DOCTYPE html><html><body>Please come back later</body></html>"
FAULTS: dict[str, tuple[Answer, str, int]] = {
    "not there": (status(404), "HTTP 404 Not Found", 1),
    "forbidden": (status(403), "HTTP 403 Forbidden", 1),
    "overloaded": (status(503, Retry_After="0"), "HTTP 503 Service Unavailable, 2 times", 2),
    "cut short": (cut(GOOD), "without sending complete message body", 2),
    "HTML": (body(HTML, "text/html; charset=utf-8"), "content type text/html", 1),
    "wrong content type": (body(GOOD, "application/json"), "content type application/json", 1),
    "HTML that claims to be a JPEG": (body(HTML), "unreadable (no known kind of image)", 1),
    "empty": (body(b""), "empty file", 1),
    "truncated": (body(GOOD[:-100]), "truncated", 1),
    "zeros at its end": (body(GOOD[:-100] + bytes(100)), "truncated (its end mark is missing)", 1),
    "constant": (body(encoded(Image.new("L", (24, 24), 7), "JPEG")), "constant image", 1),
    "another size": (body(jpeg(2, size=30)), "images differ (blue 30 × 30, green 24 × 24 px)", 1),
    "a bomb": (body(bomb(), "image/png"), "decompression bomb", 1),
    "a bomb of gzip": (body(gzip.compress(bytes(30_000_000))), "larger than 1000000 bytes when unpacked", 1),
    "damaged gzip": (body(gzip.compress(GOOD)[:-9]), "damaged gzip", 1),
    "too large": (body(bytes(1_000_001)), "larger than 1000000 bytes", 1),
    "another host": (redirect("http://evil.example/a.jpg"), "redirected: evil.example is not among politeness", 1),
    "a redirect loop": (redirect(f"/{ONE}"), "more than 5 redirects", 6),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_one_field_and_is_named(atlas: Atlas, tmp_path: Path, fault: str) -> None:
    answer, reason, requests = FAULTS[fault]
    atlas.answers[f"/{ONE}"] = [answer]
    room = Room(tmp_path, entries(atlas.address))
    counts = room.run(max_failed_share=0.2)
    assert (counts["failed_fields"], counts["failed_images"]) == (1, 1)
    ((file, address, why),) = room.report
    assert (file, address) == (ONE, f"{atlas.address}/{ONE}")
    assert reason in why
    assert str(tmp_path) not in why
    assert [entry.field for entry in room.manifest] == [entry.field for entry in entries() if ONE.find(entry.field)]
    assert atlas.count()[f"/{ONE}"] == requests
    assert (room.fields / ONE).exists() == (fault == "another size")
    assert not list(room.fields.rglob(".tmp-*"))


@pytest.mark.parametrize("fault", ["not there", "cut short", "HTML", "truncated", "a redirect loop"])
def test_a_fault_that_passes_leaves_no_trace(atlas: Atlas, tmp_path: Path, fault: str) -> None:
    atlas.answers[f"/{ONE}"] = [FAULTS[fault][0]]
    room = Room(tmp_path / "a", entries(atlas.address))
    room.run(max_failed_share=1)
    heal(atlas)
    room.run()
    assert atlas.asked == [f"/{ONE}"]
    undisturbed = Room(tmp_path / "b", entries(atlas.address))
    undisturbed.run()
    assert room.state() == undisturbed.state()


def test_passing_trouble_is_waited_for(atlas: Atlas, tmp_path: Path) -> None:
    troubles = [status(503, Retry_After="1"), status(429), cut(GOOD), atlas.hang]
    for file, trouble in zip(FILES, troubles, strict=False):
        atlas.answers[f"/{file}"] = [trouble, body(CONTENTS[file])]
    room = Room(tmp_path, entries(atlas.address))
    assert room.run(replace(QUICK, read_timeout=0.5))["failed_images"] == 0


def test_more_failures_than_the_share_are_an_error_after_everything_was_written(atlas: Atlas, tmp_path: Path) -> None:
    atlas.answers[f"/{ONE}"] = [body(jpeg(2, size=30))]
    room = Room(tmp_path, entries(atlas.address))
    for _ in range(2):  # the second time there is nothing to do, but it is no success either
        with pytest.raises(UserError, match=r"1 images of 1 of 6 fields failed, .*max_failed_share=0.1.*report.csv"):
            room.run(max_failed_share=0.1)
        assert len(room.manifest) == 5
        assert len(room.report) == 1
    assert room.run(max_failed_share=1 / 6)["failed_fields"] == 1


def test_a_host_that_sends_us_away_is_left_alone(atlas: Atlas, tmp_path: Path) -> None:
    atlas.answers[f"/{FILES[0]}"] = [status(429, Retry_After="3600")]
    room = Room(tmp_path, entries(atlas.address))
    with pytest.raises(UserError, match="6 of 6 fields failed"):
        room.run(replace(QUICK, connections=1))
    assert atlas.asked == [f"/{FILES[0]}"]
    reasons = [reason for *_, reason in room.report]
    assert len(reasons) == 12
    assert all("asks to wait 3600 s" in reason for reason in reasons)


def test_without_a_network_it_does_not_go_on_for_ever(
    atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "UNREACHED", 3)
    room = Room(tmp_path, entries("http://127.0.0.1:1"))
    put(room.fields, {file: CONTENTS[file] for file in FILES[-4:]})
    with pytest.raises(UserError, match="8 images of 4 of 6 fields failed"):
        room.run(replace(QUICK, connections=1))
    reasons = sorted(reason for *_, reason in room.report)
    assert reasons[:3] == ["All connection attempts failed, 2 times"] * 3
    assert set(reasons[3:]) == {"not asked for: 127.0.0.1 gave no answer for 3 files in a row"}
    assert len(room.manifest) == 2  # what was there is used


def test_the_summary_names_failures(atlas: Atlas, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in FILES[:7]:
        atlas.answers.pop(f"/{file}")
    room = Room(tmp_path, entries(atlas.address))
    room.run(max_failed_share=1)
    shown = capsys.readouterr().out
    assert "5 images brought" in shown
    assert f"{FILES[0]}: HTTP 404 Not Found" in shown
    assert "and 2 failures more" in shown
    assert "download_report.csv" in shown


def test_a_bar_shows_rate_and_remaining_time(atlas: Atlas, tmp_path: Path) -> None:
    room = Room(tmp_path, entries(atlas.address))
    download, screen = DownloadImages(QUICK), io.StringIO()
    download.console = Console(file=screen, force_terminal=True, width=120)
    download.run(room.work, room.fields)
    assert "files/s" in screen.getvalue()
    assert "12/12" in screen.getvalue()
    assert "0:00:00" in screen.getvalue()


def test_own_images_are_checked_and_hashed_where_they_are(tmp_path: Path) -> None:
    names = ["my cells (2)/Zelle ä_blue.tif", "my cells (2)/Zelle ä_green.tif", "b_blue.png", "b_green.png"]
    room = Room(tmp_path, entries(files=[*names, *FILES]))
    put(room.fields, CONTENTS | {names[2]: jpeg(1, format="PNG"), names[3]: HTML})
    for name in names[:2]:
        (room.fields / name).parent.mkdir(exist_ok=True)
        tifffile.imwrite(room.fields / name, np.arange(64, dtype=np.uint16).reshape(8, 8))
    (room.fields / FILES[-1]).unlink()
    before = {path: path.stat().st_mtime_ns for path in room.fields.rglob("*")}
    counts = room.run(replace(QUICK, hosts=()), max_failed_share=0.5)
    assert counts["failed_fields"] == 2
    assert [row[0] for row in room.report] == [names[3], FILES[-1]]
    assert room.manifest[0].images["green"].sha256 == sha256(room.fields / names[1])
    assert {path: path.stat().st_mtime_ns for path in room.fields.rglob("*")} == before


def test_all_four_channels(atlas: Atlas, tmp_path: Path) -> None:
    more = {"red": "50001/1_A1_1_red.jpg", "yellow": "50001/1_A1_1_yellow.jpg"}
    atlas.answers |= {f"/{file}": [body(jpeg(7))] for file in more.values()}
    room = Room(tmp_path, [field(*FILES[2:4], atlas.address, **more)])
    room.run()
    assert [*room.manifest[0].images] == ["blue", "green", "red", "yellow"]
    atlas.answers[f"/{more['red']}"] = [status(404)]
    (room.fields / more["red"]).unlink()
    assert room.run(max_failed_share=1)["failed_fields"] == 1
    assert room.manifest == []


@pytest.mark.parametrize("kind", ["image/tiff", "application/x-gzip", "application/octet-stream", None])
def test_gzipped_images_are_unpacked(atlas: Atlas, tmp_path: Path, kind: str | None) -> None:
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    tifffile.imwrite(tmp_path / "a.tif", image)
    packed = gzip.compress((tmp_path / "a.tif").read_bytes())
    files = ["1/a_blue.tif", "1/a_green.tif"]
    atlas.answers |= {f"/{file}.gz": [body(packed, kind)] for file in files}
    entry = field(*files, atlas.address)
    images = {name: replace(image, address=f"{image.address}.gz") for name, image in entry.images.items()}
    room = Room(tmp_path, [replace(entry, images=images)])
    room.run()
    np.testing.assert_array_equal(tifffile.imread(room.fields / files[0]), image)


def test_a_folder_as_a_mirror(atlas: Atlas, tmp_path: Path) -> None:
    mirror = put(tmp_path / "mirror", {**CONTENTS, FILES[-1]: HTML})
    (mirror / FILES[0]).unlink()
    room = Room(tmp_path / "a", entries(atlas.address))
    counts = room.run(mirror=str(mirror), max_failed_share=0.5)
    assert counts["failed_fields"] == 2
    assert room.report == [
        [FILES[0], str(mirror / FILES[0]), "not in the mirror, or not readable there"],
        [FILES[-1], str(mirror / FILES[-1]), "unreadable (no known kind of image)"],
    ]
    assert (room.fields / ONE).read_bytes() == GOOD
    assert atlas.asked == []
    put(mirror)
    atlas_room = Room(tmp_path / "b", entries(atlas.address))
    room.run(mirror=str(mirror))
    atlas_room.run()
    assert room.manifest == atlas_room.manifest


def test_the_folder_of_fields_as_a_mirror_is_used_in_place(atlas: Atlas, tmp_path: Path) -> None:
    room = Room(tmp_path, entries(atlas.address))
    put(room.fields)
    (room.fields / FILES[0]).unlink()
    put(room.fields, {FILES[3]: GOOD[:-50]})
    before = {path: path.stat().st_mtime_ns for path in room.fields.rglob("*")}
    assert room.run(mirror=str(room.fields), max_failed_share=0.5)["failed_images"] == 2
    assert {path: path.stat().st_mtime_ns for path in room.fields.rglob("*")} == before
    assert atlas.asked == []


def test_an_address_as_a_mirror(atlas: Atlas, tmp_path: Path) -> None:
    atlas.answers = {f"/a/b{path}": answer for path, answer in atlas.answers.items()}
    room = Room(tmp_path, entries("https://images.proteinatlas.org"))
    room.run(replace(QUICK, hosts=()), mirror=f"{atlas.address}/a/b/")
    assert len(room.manifest) == 6
    assert room.manifest[0].images["blue"].address == f"https://images.proteinatlas.org/{FILES[0]}"


@pytest.mark.parametrize("mirror", ["ftp://a.org/", "https://", "https://user:secret@a.org/", "http://[::"])
def test_mirrors_that_are_none(mirror: str) -> None:
    with pytest.raises(UserError, match=r"^download\.mirror=") as caught:
        DownloadImages(QUICK, mirror=mirror)
    assert "secret" not in str(caught.value)


def test_a_mirror_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        Room(tmp_path, entries()).run(mirror=str(tmp_path / "mirror"))


UNSAFE = [
    "../a_blue.jpg", "/etc/a_blue.jpg", "a/../b_blue.jpg", "a/./b.jpg", "a//b.jpg", "a\\b.jpg", "..\\a.jpg", "a/b.sh",
    "a", "a/b\n.jpg", "a/b\x00.jpg", "a/..", "", ".", "a/b.jpg/", f"a/{'x' * 300}.jpg",
    "a/\udc80.jpg", "a/\u202egpj.jpg",
]  # fmt: skip
NOT_PLAIN = [
    ".ssh/a.jpg",
    "a/.b.jpg",
    "a b/c.jpg",
    "~/a.jpg",
    "-rf/a.jpg",
    "a/$(b).jpg",
    "ä/b.jpg",
    "a/%2e.jpg",
    "C:/a.jpg",
]


@pytest.mark.parametrize("file", UNSAFE + NOT_PLAIN)
def test_unsafe_names_stop_everything(atlas: Atlas, tmp_path: Path, file: str) -> None:
    assert not _is_safe(ChannelImage(file, "https://a.org/a.jpg"))
    assert _is_safe(ChannelImage(file)) == (file in NOT_PLAIN)
    if "\udc80" in file:  # no Parquet file can hold it
        return
    room = Room(tmp_path, [*entries(atlas.address), field(file, "a/good_green.jpg", atlas.address)])
    with pytest.raises(UserError, match=r"index.parquet: field .* is no safe name of an image"):
        room.run()
    assert atlas.asked == []
    assert not room.fields.exists()


@given(st.text(st.sampled_from("ab./\\~: \x00\n%ä"), max_size=12).map(lambda text: f"{text}.jpg"), st.booleans())
def test_a_safe_name_is_below_the_folder(file: str, foreign: bool) -> None:
    if _is_safe(ChannelImage(file, "https://a.org" if foreign else "")):
        folder = Path("/somewhere/fields")
        path = Path(folder / file).resolve()
        assert folder in path.parents
        assert path.relative_to(folder).as_posix() == file
        assert not foreign or not any(part.startswith(".") for part in file.split("/"))


def test_an_index_that_was_edited_wrongly(tmp_path: Path) -> None:
    room = Room(tmp_path, [*entries(), field(FILES[0], "50009/1_A1_1_green.jpg")])
    with pytest.raises(UserError, match="is there twice"):
        room.run()
    room.index([FieldEntry(field="1/a", images={"blue": ChannelImage("1/a_blue.jpg")})])
    with pytest.raises(UserError, match="lacks its blue or green image"):
        room.run()
    (room.work / "index.parquet").unlink()
    with pytest.raises(UserError, match=r"index\.parquet: no manifest"):
        room.run()


def test_addresses_in_an_edited_index_lead_nowhere_else(atlas: Atlas, tmp_path: Path) -> None:
    secret = put(tmp_path / "private", {"a.jpg": GOOD}) / "a.jpg"
    places = [str(secret), f"file://{secret}", f"http://localhost:{atlas.server_port}/{ONE}", "a.jpg"]
    index = [
        replace(entry, images={name: replace(image, address=place) for name, image in entry.images.items()})
        for entry, place in zip(entries(), places, strict=False)
    ]
    room = Room(tmp_path, index)
    assert room.run(max_failed_share=1)["failed_images"] == 8
    assert atlas.asked == []
    assert not list(room.fields.rglob("*.jpg"))


RUN = """
import resource, signal, sys
from pathlib import Path
from lexy.acquire.download import DownloadImages
from lexy.acquire.http import Politeness

signal.signal(signal.SIGINT, signal.default_int_handler)
work, fields, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
politeness = Politeness(hosts=("127.0.0.1",), connections=2, rate=1000, read_timeout=60)
DownloadImages(politeness).run(work, fields)
"""


def start(room: Room, most: int = 10**9) -> subprocess.Popen[str]:
    """The download as a process of its own whose files cannot be larger than `most` bytes."""
    call = [sys.executable, "-c", RUN, str(room.work), str(room.fields), str(most)]
    return subprocess.Popen(call, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def test_killed_twice_and_restarted_it_ends_as_if_undisturbed(atlas: Atlas, tmp_path: Path) -> None:
    room = Room(tmp_path / "a", entries(atlas.address))

    def hangs(*stuck: str) -> bool:
        """Both connections do, one of them in the middle of a body."""
        return {f"/{file}" for file in stuck} <= set(atlas.asked) and any(room.fields.rglob(".tmp-*"))

    for at in (3, 8):
        half, none = FILES[at], FILES[at + 2]
        heal(atlas)
        atlas.answers |= {f"/{half}": [atlas.stall(CONTENTS[half])], f"/{none}": [atlas.hang]}
        process = start(room)
        wait_for(partial(hangs, half, none), process)
        process.kill()
        process.communicate()
    assert 0 < room.noted() < 12
    assert list(room.fields.rglob(".tmp-*"))
    assert not (room.work / "downloaded.parquet").exists()
    whole = [file for file in FILES if (room.fields / file).exists()]
    with (room.work / "downloads.jsonl").open("a") as file:
        file.write('{"file": "50000/1_A1_0_blue.jpg", "byt')
    heal(atlas)
    room.run()
    assert set(atlas.asked) == {f"/{file}" for file in set(FILES) - set(whole)}

    undisturbed = Room(tmp_path / "b", entries(atlas.address))
    undisturbed.run()
    assert room.state() == undisturbed.state()


def test_ctrl_c_leaves_what_can_be_gone_on_with(atlas: Atlas, tmp_path: Path) -> None:
    room = Room(tmp_path, entries(atlas.address))
    atlas.answers[f"/{ONE}"] = [atlas.stall(GOOD)]
    process = start(room)
    wait_for(lambda: room.noted() == 11, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert not list(room.fields.rglob(".tmp-*"))
    heal(atlas)
    assert room.run()["failed_images"] == 0
    assert atlas.asked == [f"/{ONE}"]


def test_a_full_disk_stops_it_at_once(atlas: Atlas, tmp_path: Path) -> None:
    large = jpeg(5, size=400)
    assert len(large) > 60_000
    atlas.answers[f"/{ONE}"] = [body(large)]
    files = [*FILES, *(f"60000/{at}_A1_1_{channel}.jpg" for at in range(50) for channel in ("blue", "green"))]
    room = Room(tmp_path, entries(atlas.address, files))
    process = start(room, most=60_000)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    message = errors.strip().splitlines()[-1]
    assert message.startswith(f"lexy.errors.UserError: {room.fields}: cannot be written to (File too large). Make room")
    assert "goes on where it stopped" in message
    assert not list(room.fields.rglob(".tmp-*"))
    assert not (room.work / "downloaded.parquet").exists()
    assert len(atlas.asked) < len(FILES)
    whole = room.noted()
    heal(atlas)
    room.index(entries(atlas.address))
    room.run()
    assert len(atlas.asked) == len(FILES) - whole


def test_two_at_a_time_in_one_folder_are_refused(atlas: Atlas, tmp_path: Path) -> None:
    room = Room(tmp_path, entries(atlas.address))
    with only_one(room.fields, "images"), pytest.raises(UserError, match="another process"):
        room.run()
    assert atlas.asked == []


@given(st.binary(max_size=60))
def test_a_journal_outlives_whatever_is_in_it(rubbish: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path, one, two = Path(name, "journal"), Whole(1, 2, "a" * 64, [3, 4]), Whole(5, 6, "b" * 64, [7, 8])
        with Journal(path, Path(name)) as journal:
            journal.note("a", one)
        with path.open("ab") as file:
            file.write(rubbish)
        with Journal(path, Path(name)) as journal:
            journal.note("b", two)
        with Journal(path, Path(name)) as journal:
            assert journal.whole["a"] == one
            assert journal.whole["b"] == two


def test_the_measurement_runs() -> None:
    script = REPOSITORY / "scripts" / "download_speed.py"
    call = [sys.executable, str(script), "--files", "4", "--rounds", "1"]
    done = subprocess.run(call, capture_output=True, text=True, env=environment(), check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["plain"] > 4 * 0.05
    assert 1 < result["mb"] < 1.5
