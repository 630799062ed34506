import gzip
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from acquire.atlas_server import Atlas, Tunnel, body, redirect
from acquire.fetching import CONTENT, QUICK, emptied, failure, fetch, fetched
from hypothesis import given
from hypothesis import strategies as st

from lexy.acquire.download.hosts import FetchError, allowed_url
from lexy.acquire.download.http import fetch_file
from lexy.acquire.download.politeness import Politeness
from lexy.errors import UserError

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="the openssl command makes certificates")


def test_size_limits(atlas: Atlas, tmp_path: Path) -> None:
    size = len(CONTENT)
    assert fetched(atlas, tmp_path, body(CONTENT), max_bytes=size) == CONTENT
    assert f"larger than {size - 1} bytes" in failure(atlas, emptied(tmp_path), body(CONTENT), max_bytes=size - 1)
    atlas.answers["/file"] = [body(CONTENT)]
    fetch_file(f"{atlas.address}/file", tmp_path / "file", replace(QUICK, max_bytes=1), size)
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
    assert "larger than 1000000 bytes" in failure(atlas, emptied(tmp_path), bomb, max_bytes=1_000_000)
    for coding in ("br", "zstd", "deflate", "gzip, gzip"):
        message = failure(atlas, emptied(tmp_path), body(packed, Content_Encoding=coding))
        assert f"content encoding {coding}, not gzip" in message
    assert "makes no sense" in failure(atlas, tmp_path, body(b"no gzip", Content_Encoding="gzip"))


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
    assert str(allowed_url(address, ["proteinatlas.org", "127.0.0.1", "[::1]", "here.org:8443"])) == asked


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
    with pytest.raises(FetchError):
        allowed_url(address, ["proteinatlas.org", "127.0.0.1", "here.org:8443"])


@given(st.text() | st.from_regex(r"https?://[a-z.@:/\\#?\[\]%]{0,9}atlas\.org[a-z.@:/\\#?%0-9]{0,9}", fullmatch=True))
def test_no_address_leads_elsewhere(address: str) -> None:
    try:
        url = allowed_url(address, ["atlas.org"])
    except FetchError:
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
        fetch(QUICK, "https://user:secret@127.0.0.1/file", tmp_path / "file")
    assert "secret" not in str(caught.value)


@needs_openssl
def test_https_from_the_start_and_http_2_where_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Tunnel(tmp_path, "images.proteinatlas.org", CONTENT).running() as tunnel:
        monkeypatch.setenv("HTTPS_PROXY", tunnel.address)
        monkeypatch.setenv("HTTP_PROXY", tunnel.address)
        monkeypatch.setenv("SSL_CERT_FILE", str(tunnel.certificate))
        fetch(replace(QUICK, hosts=("proteinatlas.org",)), "http://images.proteinatlas.org/1/a.jpg", tmp_path / "a.jpg")
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
            fetch(replace(QUICK, hosts=("proteinatlas.org",), attempts=1), "https://proteinatlas.org/a", tmp_path / "a")
    assert tunnel.requests == []


def test_a_proxy_that_cannot_be_used_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://127.0.0.1")
    with pytest.raises(UserError, match="A proxy or certificate named in the environment"):
        fetch(QUICK, "https://127.0.0.1/file", tmp_path / "file")
