import gzip
import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from acquire.atlas_server import Answer, Atlas, body, cut, jpeg, redirect, status
from acquire.download_room import CONTENTS, FILES, GOOD, HTML, ONE, QUICK, Room, entries, heal, put
from PIL import Image

from lexy.acquire.download import http
from lexy.errors import UserError


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
    assert "5 images fetched" in shown
    assert f"{FILES[0]}: HTTP 404 Not Found" in shown
    assert "and 2 failures more" in shown
    assert "download_report.csv" in shown
