import hashlib
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from acquire.atlas_server import Atlas, jpeg
from acquire.download_room import CONTENTS, FILES, ONE, QUICK, Room, entries, put
from cli_runs import REPOSITORY, environment
from rich.console import Console

from lexy.acquire.download.images import DownloadImages
from lexy.files import sha256


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
    monkeypatch.setattr("lexy.acquire.download.fetch_images.check_image", None)  # no image is looked at either
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


def test_a_bar_shows_rate_and_remaining_time(atlas: Atlas, tmp_path: Path) -> None:
    room = Room(tmp_path, entries(atlas.address))
    download, screen = DownloadImages(QUICK), io.StringIO()
    download.console = Console(file=screen, force_terminal=True, width=120)
    download.run(room.work, room.fields)
    assert "files/s" in screen.getvalue()
    assert "12/12" in screen.getvalue()
    assert "0:00:00" in screen.getvalue()


def test_the_measurement_runs() -> None:
    script = REPOSITORY / "scripts" / "download_speed.py"
    call = [sys.executable, str(script), "--files", "4", "--rounds", "1"]
    done = subprocess.run(call, capture_output=True, text=True, env=environment(), check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["plain"] > 4 * 0.05
    assert 1 < result["mb"] < 1.5
