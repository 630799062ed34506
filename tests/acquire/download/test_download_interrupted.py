import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from acquire.atlas_server import Atlas, body, jpeg
from acquire.download_room import CONTENTS, FILES, GOOD, ONE, Room, entries, heal
from cli_runs import environment
from hypothesis import given
from hypothesis import strategies as st

from lexy.acquire.download.journal import CheckedFile, Journal
from lexy.acquire.shards import exclusive
from lexy.errors import UserError

RUN = """
import resource, signal, sys
from pathlib import Path
from lexy.acquire.download.images import DownloadImages
from lexy.acquire.download.politeness import Politeness

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
    with exclusive(room.fields, "images"), pytest.raises(UserError, match="another process"):
        room.run()
    assert atlas.asked == []


@given(st.binary(max_size=60))
def test_a_journal_outlives_whatever_is_in_it(rubbish: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path, one, two = Path(name, "journal"), CheckedFile(1, 2, "a" * 64, [3, 4]), CheckedFile(5, 6, "b" * 64, [7, 8])
        with Journal(path, Path(name)) as journal:
            journal.add("a", one)
        with path.open("ab") as file:
            file.write(rubbish)
        with Journal(path, Path(name)) as journal:
            journal.add("b", two)
        with Journal(path, Path(name)) as journal:
            assert journal.checked["a"] == one
            assert journal.checked["b"] == two
