"""Download files politely: few requests at a time, few a second, only from listed hosts."""

import asyncio
import contextlib
import email.utils
import logging
import ssl
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from lexy import __version__
from lexy.acquire.download.hosts import FetchError, allowed_url, without_credentials
from lexy.acquire.download.politeness import Politeness
from lexy.errors import UserError
from lexy.files import replacing

REDIRECTS = 5
UNREACHED = 20  # files in a row without an answer, after which a host is not asked again
SHORT = 65536  # bytes of an unwanted body that are read so that the connection can be reused
AGENT = f"lexy/{__version__} (research; nucleus segmentation)"


logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request


class _RetryableError(Exception):
    """A failure that may pass, with its host, whether the host answered, and the seconds it asks to wait (or None)."""

    def __init__(self, reason: str, host: str, answered: bool = True, wait: float | None = None) -> None:
        super().__init__(reason)
        self.host, self.answered, self.wait = host, answered, wait


def fetch_file(address: str, target: Path, politeness: Politeness, max_bytes: int) -> None:
    """Download one file, whole or not at all.

    Parameters
    ----------
    address : str
        Address of the file.
    target : Path
        The file to write; replaced if it exists.
    politeness : Politeness
        Hosts, limits and patience; `total_timeout` grows with `max_bytes`.
    max_bytes : int
        Size limit in place of `politeness.max_bytes`.

    Raises
    ------
    UserError
        If it cannot be downloaded or written.
    """
    patient = replace(politeness, total_timeout=politeness.total_timeout * max(1, max_bytes / politeness.max_bytes))
    try:
        asyncio.run(_fetch_file(address, target, patient, max_bytes))
    except FetchError as error:
        shown = without_credentials(address)
        raise UserError(f"{shown}: {error}. Fetch it in another way and name the file instead.") from error


async def _fetch_file(address: str, target: Path, politeness: Politeness, max_bytes: int) -> None:
    async with Client(politeness) as client:
        try:
            with replacing(target) as temporary:
                await client.save(address, temporary, max_bytes)
        except OSError as error:
            raise UserError(f"{target}: cannot be written ({error.strerror}). Make room there.") from error


class Client:
    """Download many files within one event loop; an asynchronous context manager.

    A host that gave no answer for `UNREACHED` files in a row, or asks for a longer wait than is allowed, is not asked
    again: all its other files fail at once, with that reason.

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
        self._next_turn = 0.0
        self._unanswered: Counter[str] = Counter()
        self._blocked: dict[str, str] = {}
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
        """Download one file.

        Parameters
        ----------
        address : str
            Address of the file.
        target : Path
            The file to write, as the data come; after an error its content is undefined.
        max_bytes : int
            Size limit.
        types : tuple of str
            Prefixes of the accepted content types. An answer without a content type is accepted.

        Raises
        ------
        FetchError
            If it cannot be downloaded.
        OSError
            If it cannot be written.
        """
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.politeness.attempts),
            wait=self._seconds_to_wait,
            retry=retry_if_exception_type(_RetryableError),
            reraise=True,
        )
        try:
            await retrying(self._attempt, address, target, max_bytes, types)
        except _RetryableError as error:
            self._unanswered[error.host] += not error.answered
            if self._unanswered[error.host] >= UNREACHED:
                self._blocked[error.host] = f"gave no answer for {UNREACHED} files in a row"
            raise FetchError(f"{error}, {self.politeness.attempts} times") from error

    async def _attempt(self, address: str, target: Path, max_bytes: int, types: tuple[str, ...]) -> None:
        async with self._slots:
            url = self._check(address)
            for _ in range(REDIRECTS + 1):
                await self._wait_for_turn()
                try:
                    async with (
                        asyncio.timeout(self.politeness.total_timeout),
                        self._http.stream("GET", url) as response,
                    ):
                        self._unanswered[url.host] = 0
                        if response.status_code == httpx.codes.OK:
                            return await _receive(response, target, max_bytes, types)
                        await _drain(response)
                        if not response.has_redirect_location:
                            raise self._status_error(response)
                        redirect = url.join(response.headers["location"])
                except (httpx.TransportError, ssl.SSLError, ConnectionError, TimeoutError) as error:
                    raise _RetryableError(_describe(error), url.host, answered=False) from error
                except (httpx.DecodingError, httpx.InvalidURL) as error:
                    raise FetchError(f"an answer that makes no sense ({error})") from error
                url = self._check_redirect(url, redirect)
            raise FetchError(f"more than {REDIRECTS} redirects")

    def _check(self, address: str | httpx.URL) -> httpx.URL:
        url = allowed_url(address, self.politeness.hosts)
        if url.host in self._blocked:
            raise FetchError(f"not asked for: {url.host} {self._blocked[url.host]}")
        return url

    def _check_redirect(self, url: httpx.URL, redirect: httpx.URL) -> httpx.URL:
        try:
            target = self._check(redirect)
        except FetchError as error:
            raise FetchError(f"redirected: {error}") from error
        if url.scheme == "https" and target.scheme != "https":
            raise FetchError("redirected from https to http")
        return target

    async def _wait_for_turn(self) -> None:
        """Wait until the rate allows this request."""
        now = asyncio.get_running_loop().time()
        turn = max(self._next_turn, now)
        self._next_turn = turn + 1 / self.politeness.rate
        if turn > now:
            await asyncio.sleep(turn - now)

    def _status_error(self, response: httpx.Response) -> Exception:
        """Return the error that a status other than 200 stands for."""
        reason = f"HTTP {response.status_code} {response.reason_phrase}".strip()
        if response.status_code not in (408, 429) and not response.is_server_error:
            return FetchError(reason)
        host, most = response.url.host, self.politeness.max_wait
        wait = _retry_after(response.headers.get("retry-after", ""))
        if wait is not None and wait > most:
            self._blocked[host] = f"asks to wait {wait:.0f} s, longer than politeness.max_wait={most:g}"
            return FetchError(f"{reason}, {host} {self._blocked[host]}")
        if wait is not None:  # all requests wait
            self._next_turn = max(self._next_turn, asyncio.get_running_loop().time() + wait)
        return _RetryableError(reason, host, wait=wait)

    def _seconds_to_wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, _RetryableError) else None
        return self._backoff(state) if asked is None else asked


async def _receive(response: httpx.Response, target: Path, max_bytes: int, types: tuple[str, ...]) -> None:
    kind = response.headers.get("content-type", "").strip().lower()
    if kind and not kind.startswith(types):
        raise FetchError(f"content type {kind}, not {' or '.join(types)}")
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):  # others were not asked for; nested ones explode
        raise FetchError(f"content encoding {coding}, not gzip")
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
        raise FetchError(f"larger than {max_bytes} bytes")


async def _drain(response: httpx.Response) -> None:
    size = 0
    with contextlib.suppress(httpx.HTTPError):
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > SHORT:
                break


def _retry_after(text: str) -> float | None:
    """Parse a Retry-After header, seconds or a date, to seconds from now; return None for anything else."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # a date without a zone is a TypeError
        return None


def _describe(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return f"timed out ({type(error).__name__})"
    return str(error) or type(error).__name__
