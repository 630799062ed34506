"""Limits of what is asked of web servers."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from lexy.acquire.download.hosts import check_hosts


@dataclass(frozen=True)
class Politeness:
    """Which hosts are asked, how fast and how patiently.

    Parameters
    ----------
    hosts : tuple of str
        The only hosts that are asked, with all their sub-domains; a name with a port stands for that port alone.
    connections : int
        Simultaneous requests.
    rate : float
        Requests per second, including repeated and redirected ones.
    connect_timeout, read_timeout, total_timeout : float
        Longest time in seconds until there is a connection, between pieces of data, and for a whole request.
    attempts : int
        Requests for one file when the failure may pass: no answer, an incomplete one, status 408, 429 or 5xx.
    backoff : float
        Seconds before the second attempt, doubled before each further one; up to as much again is added at random.
    max_wait : float
        Longest wait before an attempt, seconds. A host that asks for a longer one (`Retry-After`) is not asked again.
    max_bytes : int
        Size limit of a file, after any Content-Encoding is undone.

    Raises
    ------
    UserError
        If an entry of `hosts` is not a host.

    Notes
    -----
    Proxies and certificates are taken from the usual environment variables (`HTTPS_PROXY`, `NO_PROXY`,
    `SSL_CERT_FILE`). Addresses with `http:` are requested with `https:`, unless they are on the loopback interface.
    """

    hosts: tuple[str, ...]
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
