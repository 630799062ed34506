"""Which addresses are asked for, and how they are spelled."""

import ipaddress
import re
from collections.abc import Sequence

import httpx

from lexy.errors import UserError

NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")


class NotFetched(Exception):
    """A file that could not be had; the message is the reason, in words."""


def check_hosts(hosts: Sequence[str]) -> None:
    """Raise UserError for a name that stands for no host."""
    for host in hosts:
        try:
            url = httpx.URL(f"//{host}")
        except httpx.InvalidURL:
            url = httpx.URL()
        if not _is_host(url) or url.path not in ("", "/") or url.userinfo:
            raise UserError(f"politeness.hosts: {host!r} is no host. Write a name, such as proteinatlas.org.")


def permitted(address: str | httpx.URL, hosts: Sequence[str]) -> httpx.URL:
    """The address as it is asked for: with https, unless its host is on the loopback interface.

    Parameters
    ----------
    address : str or URL
        Of one file.
    hosts : sequence of str
        The only hosts that are asked, with all their sub-domains; a name with a port stands for that port alone.

    Raises
    ------
    NotFetched
        It is not asked for: no address of the web, one with a password in it, or its host is not on the list.
    """
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise NotFetched(f"no valid address ({error})") from error
    if url.scheme not in ("http", "https") or not _is_host(url):
        raise NotFetched("no address of the web (http or https)")
    if url.userinfo:
        raise NotFetched("an address that holds a name or password is not asked for")
    url = url if _is_loopback(url.host) else url.copy_with(scheme="https")
    if not any(_covers(httpx.URL(f"//{host}"), url) for host in hosts):
        raise NotFetched(f"{url.host} is not among politeness.hosts ({', '.join(hosts)})")
    return url


def shown(address: str) -> str:
    """The address without name and password, for messages."""
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
