"""Check addresses against the list of allowed hosts."""

import ipaddress
import re
from collections.abc import Sequence

import httpx

from lexy.errors import UserError

NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")


class FetchError(Exception):
    """A file that could not be fetched; the message is the reason."""


def check_hosts(hosts: Sequence[str]) -> None:
    """Raise UserError for an entry that is not a host."""
    for host in hosts:
        try:
            url = httpx.URL(f"//{host}")
        except httpx.InvalidURL:
            url = httpx.URL()
        if not _is_host(url) or url.path not in ("", "/") or url.userinfo:
            raise UserError(f"politeness.hosts: {host!r} is no host. Write a name, such as proteinatlas.org.")


def allowed_url(address: str | httpx.URL, hosts: Sequence[str]) -> httpx.URL:
    """Return the address as it is requested: with https, unless its host is on the loopback interface.

    Parameters
    ----------
    address : str or URL
        Address of one file.
    hosts : sequence of str
        The only hosts that are asked, with all their sub-domains; a name with a port stands for that port alone.

    Raises
    ------
    FetchError
        If it is no web address, holds a password, or its host is not on the list.
    """
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise FetchError(f"no valid address ({error})") from error
    if url.scheme not in ("http", "https") or not _is_host(url):
        raise FetchError("no address of the web (http or https)")
    if url.userinfo:
        raise FetchError("an address that holds a name or password is not asked for")
    url = url if _is_loopback(url.host) else url.copy_with(scheme="https")
    if not any(_covers(httpx.URL(f"//{host}"), url) for host in hosts):
        raise FetchError(f"{url.host} is not among politeness.hosts ({', '.join(hosts)})")
    return url


def without_credentials(address: str) -> str:
    """Return an address without name and password, for messages."""
    try:
        return str(httpx.URL(address).copy_with(userinfo=b""))
    except httpx.InvalidURL:
        return repr(address)


def _is_host(url: httpx.URL) -> bool:
    return (":" in url.host or bool(NAME.fullmatch(url.host))) and (url.port or 0) < 65536


def _covers(allowed: httpx.URL, url: httpx.URL) -> bool:
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    return (url.host == allowed.host or url.host.endswith(f".{allowed.host}")) and allowed.port in (None, port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
