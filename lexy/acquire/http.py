"""Files from the web, politely: few requests at a time, few a second, only of hosts on a list."""

import asyncio
import contextlib
import email.utils
import logging
import ssl
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated

import httpx
from annotated_types import Ge, Gt
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from lexy import __version__
from lexy.acquire.hosts import NotFetched, check_hosts, permitted, shown
from lexy.errors import UserError
from lexy.files import replacing

REDIRECTS = 5
UNREACHED = 20  # files in a row for which a host gave no answer, after which it is left alone
SHORT = 65536  # bytes of an unwanted body that are read so that the connection can be used again
AGENT = f"lexy/{__version__} (research; nucleus segmentation)"


logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every request


class _Again(Exception):
    """A failure that may pass: whose, whether it answered at all, and seconds that it asks to wait, if it does."""

    def __init__(self, reason: str, host: str, answered: bool = True, wait: float | None = None) -> None:
        super().__init__(reason)
        self.host, self.answered, self.wait = host, answered, wait


@dataclass(frozen=True)
class Politeness:
    """What is asked for on the web, how fast and how patiently.

    Parameters
    ----------
    hosts : tuple of str
        The only hosts that are asked, with all their sub-domains; a name with a port stands for that port alone.
    connections : int
        Requests at a time.
    rate : float
        Requests a second, repeated and redirected ones too.
    connect_timeout, read_timeout, total_timeout : float
        Seconds until there is a connection, until more data come, and for one request with all of its answer.
    attempts : int
        How often a file is asked for where the failure may pass: no answer, a short one, status 408, 429 or 5xx.
    backoff : float
        Seconds before the second attempt, doubled before each one after it; up to as much again is added at random.
    max_wait : float
        Longest wait before an attempt, seconds. A host that asks for a longer one (`Retry-After`) is left alone.
    max_bytes : int
        Size limit of a file, after any Content-Encoding is undone.

    Raises
    ------
    UserError
        If something among `hosts` is no host.

    Notes
    -----
    Proxies and certificates are taken from the usual environment variables (`HTTPS_PROXY`, `NO_PROXY`,
    `SSL_CERT_FILE`). Addresses with `http:` are asked with `https:`, unless they are on the loopback interface.
    """

    hosts: tuple[str, ...] = ("proteinatlas.org",)
    connections: Annotated[int, Gt(0)] = 4
    rate: Annotated[float, Gt(0)] = 8.0
    connect_timeout: Annotated[float, Gt(0)] = 10.0
    read_timeout: Annotated[float, Gt(0)] = 30.0
    total_timeout: Annotated[float, Gt(0)] = 600.0
    attempts: Annotated[int, Gt(0)] = 5
    backoff: Annotated[float, Ge(0)] = 1.0
    max_wait: Annotated[float, Ge(0)] = 120.0
    max_bytes: Annotated[int, Gt(0)] = 50_000_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "hosts", tuple(self.hosts))  # a config has a list
        check_hosts(self.hosts)

    def fetch(self, address: str, target: Path, max_bytes: int | None = None) -> None:
        """Fetch one file, whole or not at all.

        Parameters
        ----------
        address : str
            Where from.
        target : Path
            Where to; replaced if it exists.
        max_bytes : int, optional
            Size limit in place of the usual one; `total_timeout` grows with it.

        Raises
        ------
        UserError
            It could not be had, or not be written.
        """
        limit = self.max_bytes if max_bytes is None else max_bytes
        patient = replace(self, total_timeout=self.total_timeout * max(1, limit / self.max_bytes))
        try:
            asyncio.run(patient._fetch(address, target, limit))
        except NotFetched as error:
            raise UserError(f"{shown(address)}: {error}. Fetch it in another way and name the file instead.") from error

    async def _fetch(self, address: str, target: Path, max_bytes: int) -> None:
        async with Client(self) as client:
            try:
                with replacing(target) as temporary:
                    await client.save(address, temporary, max_bytes)
            except OSError as error:
                raise UserError(f"{target}: cannot be written ({error.strerror}). Make room there.") from error


class Client:
    """Fetches many files within one event loop; an asynchronous context.

    A host that gave no answer for `UNREACHED` files in a row, or asks for a longer wait than is allowed, is left alone:
    all its other files fail with that reason at once.

    Parameters
    ----------
    politeness : Politeness
        Hosts, limits and patience.

    Raises
    ------
    UserError
        If the environment names a proxy or certificates that cannot be used.
    """

    def __init__(self, politeness: Politeness) -> None:
        self.politeness = politeness
        self._slots = asyncio.Semaphore(politeness.connections)
        self._next = 0.0
        self._unreached: Counter[str] = Counter()
        self._left_alone: dict[str, str] = {}
        self._backoff = wait_exponential_jitter(politeness.backoff, politeness.max_wait, jitter=politeness.backoff)
        try:
            self._http = httpx.AsyncClient(
                http2=True,
                timeout=httpx.Timeout(politeness.read_timeout, connect=politeness.connect_timeout, pool=None),
                limits=httpx.Limits(max_connections=politeness.connections),
                headers={"User-Agent": AGENT, "Accept-Encoding": "gzip"},
            )
        except (ImportError, ValueError, OSError) as error:
            raise UserError(f"A proxy or certificate named in the environment cannot be used: {error}.") from error

    async def __aenter__(self) -> "Client":
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def save(self, address: str, target: Path, max_bytes: int, types: tuple[str, ...] = ("",)) -> None:
        """Fetch one file.

        Parameters
        ----------
        address : str
            Where from.
        target : Path
            Written as the data come; after an error, whatever is in it is no good.
        max_bytes : int
            Size limit.
        types : tuple of str
            Beginnings of the content types that are taken. An answer that names none is taken.

        Raises
        ------
        NotFetched
            It could not be had.
        OSError
            It could not be written.
        """
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.politeness.attempts),
            wait=self._wait,
            retry=retry_if_exception_type(_Again),
            reraise=True,
        )
        try:
            await retrying(self._attempt, address, target, max_bytes, types)
        except _Again as error:
            self._unreached[error.host] += not error.answered
            if self._unreached[error.host] >= UNREACHED:
                self._left_alone[error.host] = f"gave no answer for {UNREACHED} files in a row"
            raise NotFetched(f"{error}, {self.politeness.attempts} times") from error

    async def _attempt(self, address: str, target: Path, max_bytes: int, types: tuple[str, ...]) -> None:
        async with self._slots:
            url = self._open(address)
            for _ in range(REDIRECTS + 1):
                await self._turn()
                try:
                    async with (
                        asyncio.timeout(self.politeness.total_timeout),
                        self._http.stream("GET", url) as response,
                    ):
                        self._unreached[url.host] = 0
                        if response.status_code == httpx.codes.OK:
                            return await _receive(response, target, max_bytes, types)
                        await _drain(response)
                        if not response.has_redirect_location:
                            raise self._refusal(response)
                        place = url.join(response.headers["location"])
                except (httpx.TransportError, ssl.SSLError, ConnectionError, TimeoutError) as error:
                    raise _Again(_words(error), url.host, answered=False) from error
                except (httpx.DecodingError, httpx.InvalidURL) as error:
                    raise NotFetched(f"an answer that makes no sense ({error})") from error
                url = self._redirected(url, place)
            raise NotFetched(f"more than {REDIRECTS} redirects")

    def _open(self, address: str | httpx.URL) -> httpx.URL:
        url = permitted(address, self.politeness.hosts)
        if url.host in self._left_alone:
            raise NotFetched(f"not asked for: {url.host} {self._left_alone[url.host]}")
        return url

    def _redirected(self, url: httpx.URL, place: httpx.URL) -> httpx.URL:
        try:
            there = self._open(place)
        except NotFetched as error:
            raise NotFetched(f"redirected: {error}") from error
        if url.scheme == "https" and there.scheme != "https":
            raise NotFetched("redirected from https to http")
        return there

    async def _turn(self) -> None:
        """Wait for this request's turn."""
        now = asyncio.get_running_loop().time()
        turn = max(self._next, now)
        self._next = turn + 1 / self.politeness.rate
        if turn > now:
            await asyncio.sleep(turn - now)

    def _refusal(self, response: httpx.Response) -> Exception:
        """What a status other than 200 amounts to."""
        reason = f"HTTP {response.status_code} {response.reason_phrase}".strip()
        if response.status_code not in (408, 429) and not response.is_server_error:
            return NotFetched(reason)
        host, most = response.url.host, self.politeness.max_wait
        wait = _retry_after(response.headers.get("retry-after", ""))
        if wait is not None and wait > most:
            self._left_alone[host] = f"asks to wait {wait:.0f} s, longer than politeness.max_wait={most:g}"
            return NotFetched(f"{reason}, {host} {self._left_alone[host]}")
        if wait is not None:  # holds for whoever asks
            self._next = max(self._next, asyncio.get_running_loop().time() + wait)
        return _Again(reason, host, wait=wait)

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, _Again) else None
        return self._backoff(state) if asked is None else asked


async def _receive(response: httpx.Response, target: Path, max_bytes: int, types: tuple[str, ...]) -> None:
    kind = response.headers.get("content-type", "").strip().lower()
    if kind and not kind.startswith(types):
        raise NotFetched(f"content type {kind}, not {' or '.join(types)}")
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):  # others were not asked for; nested ones explode
        raise NotFetched(f"content encoding {coding}, not gzip")
    size = int(response.headers.get("content-length", 0))
    if size <= max_bytes:
        size = 0
        with target.open("wb") as file:
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > max_bytes:
                    break
                file.write(chunk)
    if size > max_bytes:
        raise NotFetched(f"larger than {max_bytes} bytes")


async def _drain(response: httpx.Response) -> None:
    size = 0
    with contextlib.suppress(httpx.HTTPError):
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > SHORT:
                break


def _retry_after(text: str) -> float | None:
    """Seconds, whether they are given as such or as a date; None for what is neither."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # a date without a zone is a TypeError
        return None


def _words(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return f"timed out ({type(error).__name__})"
    return str(error) or type(error).__name__
