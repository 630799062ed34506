import asyncio
import email.utils
import re
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from acquire.atlas_server import Atlas, body, cut, status
from acquire.fetching import CONTENT, QUICK, emptied, failure, fetch, fetched
from cli_runs import environment
from hypothesis import given
from hypothesis import strategies as st

from lexy.acquire.download import http
from lexy.acquire.download.hosts import FetchError
from lexy.acquire.download.http import Client, fetch_file
from lexy.acquire.download.politeness import Politeness
from lexy.errors import UserError


def test_a_file_is_fetched_as_it_is(atlas: Atlas, tmp_path: Path) -> None:
    assert fetched(atlas, tmp_path, body(CONTENT)) == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    agent = atlas.heads[0]["User-Agent"]
    assert re.fullmatch(r"lexy/\S+ \(research; .*\)", agent)
    assert "@" not in agent


def test_a_failure_leaves_an_older_file_alone(atlas: Atlas, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"older")
    with pytest.raises(UserError, match="404"):
        fetched(atlas, tmp_path, status(404))
    assert (tmp_path / "file").read_bytes() == b"older"


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_failures_that_may_pass_are_asked_again(atlas: Atlas, tmp_path: Path, code: int) -> None:
    assert fetched(atlas, tmp_path, status(code), status(code), body(CONTENT)) == CONTENT
    assert len(atlas.asked) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 451, 204, 206, 304])
def test_others_are_not(atlas: Atlas, tmp_path: Path, code: int) -> None:
    assert f"HTTP {code}" in failure(atlas, tmp_path, body(b"", None, code), body(CONTENT))
    assert len(atlas.asked) == 1


def test_at_some_time_it_is_enough(atlas: Atlas, tmp_path: Path) -> None:
    message = failure(atlas, tmp_path, status(503))
    assert f"{atlas.address}/file: HTTP 503 Service Unavailable, 3 times" in message
    assert len(atlas.asked) == 3


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_in_seconds_is_obeyed(atlas: Atlas, tmp_path: Path, code: int) -> None:
    begin = time.monotonic()
    assert fetched(atlas, tmp_path, status(code, Retry_After="1"), body(CONTENT), backoff=60) == CONTENT
    assert 1 <= time.monotonic() - begin < 20  # by the back-off it would be a minute


def test_retry_after_as_a_date_is_obeyed(atlas: Atlas, tmp_path: Path) -> None:
    begin = time.time()
    date = email.utils.formatdate(begin + 2, usegmt=True)  # full seconds: 1 to 2 from now
    assert fetched(atlas, tmp_path, status(503, Retry_After=date), body(CONTENT), backoff=60, max_wait=5) == CONTENT
    assert 1 <= time.time() - begin < 20


def test_retry_after_holds_for_all_files(atlas: Atlas, tmp_path: Path) -> None:
    atlas.answers = {"/busy": [status(429, Retry_After="1"), body(CONTENT)], "/other": [body(CONTENT)]}

    async def both() -> float:
        async with Client(QUICK) as client:
            first = asyncio.create_task(client.save(f"{atlas.address}/busy", tmp_path / "a", 10**6))
            while not atlas.asked:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            begin = time.monotonic()
            await client.save(f"{atlas.address}/other", tmp_path / "b", 10**6)
            await first
            return time.monotonic() - begin

    assert asyncio.run(both()) > 0.5


def test_a_host_that_asks_for_too_long_a_wait_is_left_alone(atlas: Atlas, tmp_path: Path) -> None:
    atlas.answers = {"/a": [status(503, Retry_After="3600"), body(CONTENT)], "/b": [body(CONTENT)]}

    async def both() -> list[BaseException | None]:
        async with Client(QUICK) as client:
            return [await _reason(client.save(atlas.address + path, tmp_path / "x", 10**6)) for path in ("/a", "/b")]

    reasons = [str(reason) for reason in asyncio.run(both())]
    assert "asks to wait 3600 s, longer than politeness.max_wait=2" in reasons[0]
    assert "not asked for: 127.0.0.1 asks to wait 3600 s" in reasons[1]
    assert atlas.asked == ["/a"]


async def _reason(coroutine: Any) -> BaseException | None:
    try:
        await coroutine
    except FetchError as error:
        return error
    return None


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5", "Wed, 99 Foo 2020", "12 12"])
def test_a_senseless_retry_after_counts_as_none(atlas: Atlas, tmp_path: Path, text: str) -> None:
    assert fetched(atlas, tmp_path, status(503, Retry_After=text), body(CONTENT)) == CONTENT


@given(st.text())
def test_any_retry_after_is_seconds_or_none(text: str) -> None:
    wait = http._retry_after(text)
    assert wait is None or wait >= 0


def test_retry_after_of_the_past_is_no_wait() -> None:
    assert http._retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert http._retry_after(" 120 ") == 120


def test_a_body_cut_short_is_asked_for_again(atlas: Atlas, tmp_path: Path) -> None:
    assert fetched(atlas, tmp_path, cut(CONTENT), body(CONTENT)) == CONTENT
    assert "without sending complete message body" in failure(atlas, emptied(tmp_path), cut(CONTENT))


def test_a_server_that_hangs_up_without_a_word(atlas: Atlas, tmp_path: Path) -> None:
    def hang_up(handler: Any) -> None:
        handler.close_connection = True

    assert fetched(atlas, tmp_path, hang_up, body(CONTENT)) == CONTENT


def test_a_connection_that_hangs(atlas: Atlas, tmp_path: Path) -> None:
    assert fetched(atlas, tmp_path, atlas.hang, body(CONTENT), read_timeout=0.2) == CONTENT
    message = failure(atlas, emptied(tmp_path), atlas.stall(CONTENT), read_timeout=0.2, attempts=2)
    assert "timed out (ReadTimeout), 2 times" in message


def test_an_answer_that_drips_for_ever(atlas: Atlas, tmp_path: Path) -> None:
    def drip(handler: Any) -> None:
        body(b"", Content_Length="1000")(handler)
        while not atlas.closing.wait(0.05):
            handler.wfile.write(b".")
            handler.wfile.flush()

    assert "timed out (TimeoutError)" in failure(atlas, tmp_path, drip, total_timeout=0.3, attempts=1)


def test_a_larger_limit_goes_with_more_patience(atlas: Atlas, tmp_path: Path) -> None:
    def slow(handler: Any) -> None:
        time.sleep(0.4)
        body(CONTENT)(handler)

    atlas.answers["/file"] = [slow]
    hasty = replace(QUICK, total_timeout=0.2, attempts=1, max_bytes=10_000)
    with pytest.raises(UserError, match="timed out"):
        fetch(hasty, f"{atlas.address}/file", tmp_path / "file")
    fetch_file(f"{atlas.address}/file", tmp_path / "file", hasty, 1_000_000)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_host_where_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UserError, match="connection attempts failed, 3 times"):
        fetch(QUICK, f"http://127.0.0.1:{port}/file", tmp_path / "file")


def test_a_host_without_answers_is_left_alone(atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "UNREACHED", 2)
    silent = replace(QUICK, read_timeout=0.1, attempts=1)
    atlas.answers = {"/silent": [atlas.hang], "/good": [body(CONTENT)]}

    async def ask(*paths: str) -> list[str]:
        async with Client(silent) as client:
            return [str(await _reason(client.save(atlas.address + path, tmp_path / "x", 10**6))) for path in paths]

    assert [reason.split()[0] for reason in asyncio.run(ask("/silent", "/good", "/silent", "/good"))] == [
        "timed", "None", "timed", "None"
    ]  # fmt: skip
    reasons = asyncio.run(ask("/silent", "/silent", "/good"))
    assert reasons[2] == "not asked for: 127.0.0.1 gave no answer for 2 files in a row"


def test_connections_and_rate_are_limited(atlas: Atlas, tmp_path: Path) -> None:
    def slow(handler: Any) -> None:
        time.sleep(0.05)
        body(CONTENT)(handler)

    atlas.answers = {f"/{at}": [slow] for at in range(12)}

    async def all_of_them(politeness: Politeness) -> float:
        begin = time.monotonic()
        async with Client(politeness) as client:
            saves = (client.save(f"{atlas.address}/{at}", tmp_path / f"{at}", 10**6) for at in range(12))
            await asyncio.gather(*saves)
        return time.monotonic() - begin

    asyncio.run(all_of_them(replace(QUICK, connections=3)))
    assert atlas.most == 3
    assert asyncio.run(all_of_them(replace(QUICK, connections=12, rate=20))) >= 11 / 20


def test_a_disk_that_is_full(atlas: Atlas, tmp_path: Path) -> None:
    atlas.answers["/file"] = [body(bytes(50_000))]
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from lexy.acquire.download.http import fetch_file\n"
        "from lexy.acquire.download.politeness import Politeness\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "fetch_file(sys.argv[1], Path(sys.argv[2]), Politeness(hosts=('127.0.0.1',)), 50_000_000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"{atlas.address}/file", str(tmp_path / "file")],
        capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    assert f"UserError: {tmp_path / 'file'}: cannot be written (File too large)" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_here_imports_torch_or_pandas() -> None:
    code = "import sys, lexy.acquire.download.images; assert not {'torch', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())
