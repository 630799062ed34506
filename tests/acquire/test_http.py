import asyncio
import email.utils
import gzip
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from acquire.atlas_server import Answer, Atlas, Tunnel, body, cut, jpeg, redirect, status
from cli_runs import environment
from hypothesis import given
from hypothesis import strategies as st

from lexy.acquire import http
from lexy.acquire.hosts import NotFetched, permitted
from lexy.acquire.http import Client, Politeness
from lexy.errors import UserError

CONTENT = jpeg()
QUICK = Politeness(hosts=("127.0.0.1",), rate=1000, read_timeout=5, attempts=3, backoff=0.01, max_wait=2)

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="the openssl command makes certificates")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def atlas():
    with Atlas().running() as server:
        yield server


def fetched(atlas: Atlas, folder: Path, *answers: Answer, **changes: Any) -> bytes:
    """What a file holds that is answered thus."""
    atlas.answers["/file"] = list(answers)
    replace(QUICK, **changes).fetch(f"{atlas.address}/file", folder / "file")
    return (folder / "file").read_bytes()


def failure(atlas: Atlas, folder: Path, *answers: Answer, **changes: Any) -> str:
    """The message; nothing may be left behind."""
    with pytest.raises(UserError) as caught:
        fetched(atlas, folder, *answers, **changes)
    assert list(folder.iterdir()) == []
    return str(caught.value)


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
    except NotFetched as error:
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
    assert "without sending complete message body" in failure(atlas, _empty(tmp_path), cut(CONTENT))


def test_a_server_that_hangs_up_without_a_word(atlas: Atlas, tmp_path: Path) -> None:
    def hang_up(handler: Any) -> None:
        handler.close_connection = True

    assert fetched(atlas, tmp_path, hang_up, body(CONTENT)) == CONTENT


def test_a_connection_that_hangs(atlas: Atlas, tmp_path: Path) -> None:
    assert fetched(atlas, tmp_path, atlas.hang, body(CONTENT), read_timeout=0.2) == CONTENT
    message = failure(atlas, _empty(tmp_path), atlas.stall(CONTENT), read_timeout=0.2, attempts=2)
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
        hasty.fetch(f"{atlas.address}/file", tmp_path / "file")
    hasty.fetch(f"{atlas.address}/file", tmp_path / "file", max_bytes=1_000_000)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_host_where_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UserError, match="connection attempts failed, 3 times"):
        QUICK.fetch(f"http://127.0.0.1:{port}/file", tmp_path / "file")


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


def test_size_limits(atlas: Atlas, tmp_path: Path) -> None:
    size = len(CONTENT)
    assert fetched(atlas, tmp_path, body(CONTENT), max_bytes=size) == CONTENT
    assert f"larger than {size - 1} bytes" in failure(atlas, _empty(tmp_path), body(CONTENT), max_bytes=size - 1)
    atlas.answers["/file"] = [body(CONTENT)]
    replace(QUICK, max_bytes=1).fetch(f"{atlas.address}/file", tmp_path / "file", max_bytes=size)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_size_limit_where_none_is_announced(atlas: Atlas, tmp_path: Path) -> None:
    def endless(handler: Any) -> None:
        body(b"", Content_Length=None)(handler)
        handler.close_connection = True
        while not atlas.closing.is_set():
            handler.wfile.write(bytes(100_000))

    assert "larger than 1000000 bytes" in failure(atlas, tmp_path, endless, max_bytes=1_000_000)


def test_content_encoding_is_undone_and_its_bombs_do_not_go_off(atlas: Atlas, tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT)
    assert fetched(atlas, tmp_path, body(packed, Content_Encoding="gzip")) == CONTENT
    bomb = body(gzip.compress(bytes(20_000_000)), Content_Encoding="gzip")
    assert "larger than 1000000 bytes" in failure(atlas, _empty(tmp_path), bomb, max_bytes=1_000_000)
    for coding in ("br", "zstd", "deflate", "gzip, gzip"):
        message = failure(atlas, _empty(tmp_path), body(packed, Content_Encoding=coding))
        assert f"content encoding {coding}, not gzip" in message
    assert "makes no sense" in failure(atlas, tmp_path, body(b"no gzip", Content_Encoding="gzip"))


def _empty(folder: Path) -> Path:
    for path in folder.iterdir():
        path.unlink()
    return folder


def test_redirects_are_followed(atlas: Atlas, tmp_path: Path) -> None:
    atlas.answers |= {"/next": [redirect("there", 308)], "/there": [body(CONTENT)]}
    assert fetched(atlas, tmp_path, redirect(f"{atlas.address}/next", 301)) == CONTENT
    assert atlas.asked == ["/file", "/next", "/there"]


def test_redirects_to_other_hosts_are_not(atlas: Atlas, tmp_path: Path) -> None:
    place = f"http://localhost:{atlas.server_port}/file"
    assert "redirected: localhost is not among politeness.hosts" in failure(atlas, tmp_path, redirect(place))
    assert len(atlas.asked) == 1


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://u:p@127.0.0.1/", "http://["])
def test_redirects_to_nowhere(atlas: Atlas, tmp_path: Path, place: str) -> None:
    assert re.search("redirected|makes no sense", failure(atlas, tmp_path, redirect(place)))
    assert len(atlas.asked) == 1


def test_a_redirect_loop_ends(atlas: Atlas, tmp_path: Path) -> None:
    assert "more than 5 redirects" in failure(atlas, tmp_path, redirect("/file"))
    assert len(atlas.asked) == 6


def test_the_first_address_has_to_be_on_the_list_too(atlas: Atlas, tmp_path: Path) -> None:
    assert "127.0.0.1 is not among politeness.hosts" in failure(atlas, tmp_path, body(CONTENT), hosts=("a.org",))
    assert atlas.asked == []


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


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("http://images.proteinatlas.org/1/a.jpg", "https://images.proteinatlas.org/1/a.jpg"),
        ("http://images.proteinatlas.org:80/a", "https://images.proteinatlas.org/a"),
        ("HTTPS://V18.ProteinAtlas.ORG/a", "https://v18.proteinatlas.org/a"),
        ("https://proteinatlas.org/a?b=c", "https://proteinatlas.org/a?b=c"),
        ("http://127.0.0.1:8000/a", "http://127.0.0.1:8000/a"),
        ("http://[::1]:8000/a", "http://[::1]:8000/a"),
        ("https://here.org:8443/a", "https://here.org:8443/a"),
    ],
)
def test_addresses_as_they_are_asked(address: str, asked: str) -> None:
    assert str(permitted(address, ["proteinatlas.org", "127.0.0.1", "[::1]", "here.org:8443"])) == asked


@pytest.mark.parametrize(
    "address",
    [
        "https://evilproteinatlas.org/a", "https://proteinatlas.org.evil.com/a", "https://proteinatlas.org@evil.com/a",
        "https://evil.com/proteinatlas.org", "https://evil.com#.proteinatlas.org", "https://evil.com?.proteinatlas.org",
        "https://user:secret@proteinatlas.org/a", "ftp://proteinatlas.org/a", "file:///proteinatlas.org", "a.jpg", "",
        "https://here.org/a", "https://here.org:1/a", "https://", "http://[", "https://proteinatlas.org:99999999/",
        "https://proteinatlas.org\\@evil.com/", "https://2130706433/", "javascript:alert(1)", "/etc/passwd", "\x00",
        f"https://{'a' * 64}.proteinatlas.org/", "https://a..proteinatlas.org/", "https://a%20b.proteinatlas.org/",
    ],
)  # fmt: skip
def test_addresses_that_are_not_asked(address: str) -> None:
    with pytest.raises(NotFetched):
        permitted(address, ["proteinatlas.org", "127.0.0.1", "here.org:8443"])


@given(st.text() | st.from_regex(r"https?://[a-z.@:/\\#?\[\]%]{0,9}atlas\.org[a-z.@:/\\#?%0-9]{0,9}", fullmatch=True))
def test_no_address_leads_elsewhere(address: str) -> None:
    try:
        url = permitted(address, ["atlas.org"])
    except NotFetched:
        return
    assert url.scheme == "https"
    assert url.host == "atlas.org" or url.host.endswith(".atlas.org")
    assert httpx.URL(str(url)).host == url.host


@pytest.mark.parametrize("host", ["", "https://a.org", "a.org/b", "*.a.org", "u:p@a.org", "a b", "a.org:x"])
def test_hosts_that_are_none(host: str) -> None:
    with pytest.raises(UserError, match=r"politeness.hosts: .* is no host"):
        Politeness(hosts=(host,))


def test_no_password_in_a_message(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        QUICK.fetch("https://user:secret@127.0.0.1/file", tmp_path / "file")
    assert "secret" not in str(caught.value)


@needs_openssl
def test_https_from_the_start_and_http_2_where_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Tunnel(tmp_path, "images.proteinatlas.org", CONTENT).running() as tunnel:
        monkeypatch.setenv("HTTPS_PROXY", tunnel.address)
        monkeypatch.setenv("HTTP_PROXY", tunnel.address)
        monkeypatch.setenv("SSL_CERT_FILE", str(tunnel.certificate))
        replace(QUICK, hosts=("proteinatlas.org",)).fetch("http://images.proteinatlas.org/1/a.jpg", tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == CONTENT
    assert tunnel.connects == ["CONNECT images.proteinatlas.org:443 HTTP/1.1"]
    (request,) = tunnel.requests
    assert request[":path"] == "/1/a.jpg"
    assert request[":scheme"] == "https"


@needs_openssl
def test_a_certificate_of_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Tunnel(tmp_path, "evil.org", CONTENT).running() as tunnel:
        monkeypatch.setenv("HTTPS_PROXY", tunnel.address)
        monkeypatch.setenv("SSL_CERT_FILE", str(tunnel.certificate))
        with pytest.raises(UserError, match="certificate verify failed"):
            replace(QUICK, hosts=("proteinatlas.org",), attempts=1).fetch("https://proteinatlas.org/a", tmp_path / "a")
    assert tunnel.requests == []


def test_a_proxy_that_cannot_be_used_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://127.0.0.1")
    with pytest.raises(UserError, match="A proxy or certificate named in the environment"):
        QUICK.fetch("https://127.0.0.1/file", tmp_path / "file")


def test_a_disk_that_is_full(atlas: Atlas, tmp_path: Path) -> None:
    atlas.answers["/file"] = [body(bytes(50_000))]
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from lexy.acquire.http import Politeness\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "Politeness(hosts=('127.0.0.1',)).fetch(sys.argv[1], Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"{atlas.address}/file", str(tmp_path / "file")],
        capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    assert f"UserError: {tmp_path / 'file'}: cannot be written (File too large)" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_here_imports_torch_or_pandas() -> None:
    code = "import sys, lexy.acquire.download; assert not {'torch', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())
