"""Fetch images from the web or another folder: check, hash and record them, several at a time."""

import asyncio
import gzip
import os
import shutil
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from lexy.acquire.download.hosts import FetchError
from lexy.acquire.download.http import Client
from lexy.acquire.download.journal import CheckedFile, Journal, reporting_write_errors
from lexy.acquire.download.politeness import Politeness
from lexy.acquire.fields import BadImage, read_channel
from lexy.acquire.shards import exclusive
from lexy.files import replacing, sha256

TYPES = ("image/", "application/octet-stream", "binary/octet-stream", "application/gzip", "application/x-gzip")
CHECKS = os.cpu_count() or 1  # images decoded and hashed at the same time
SHOWN = 5  # failures that the summary lists

T = TypeVar("T")
Save = Callable[[str, Path], Awaitable[None]]  # writes an address or file to a path, or raises FetchError


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """An image that an index lists.

    Attributes
    ----------
    file : str
        Path below the folder of fields.
    component : int
        Component of a colour image: 0 red, 1 green, 2 blue.
    source : str
        Address, or file in another folder, to fetch it from; '' if it has to exist already.
    """

    file: str
    component: int
    source: str


class ImageFetcher:
    """Fetch, check, hash and record images.

    Parameters
    ----------
    fields : Path
        Folder of the images.
    journal : Journal
        Gets a line for each image that passes the check.
    politeness : Politeness
        Hosts, limits and patience of requests.
    web : bool
        Whether sources are addresses; otherwise they are files of this machine.

    Attributes
    ----------
    failures : dict of str to str
        Reason by file.
    fetched, existing, replaced, bytes : int
        Images that were fetched, that existed and passed the check, and that were fetched in place of damaged ones;
        bytes that were fetched.
    """

    def __init__(self, fields: Path, journal: Journal, politeness: Politeness, *, web: bool) -> None:
        self.fields, self.journal, self.politeness, self.web = fields, journal, politeness, web
        self.failures: dict[str, str] = {}
        self.fetched, self.existing, self.replaced, self.bytes = 0, 0, 0, 0

    def run(self, images: Sequence[ImageRequest], console: Console) -> None:
        """Fetch and check all images, with a progress bar; collect failures in `failures`.

        Raises
        ------
        UserError
            If the folder of fields cannot be written to, or another process writes to it.
        """
        fetchable = [image for image in images if image.source]
        lock: AbstractContextManager[None] = exclusive(self.fields, "images") if fetchable else nullcontext()
        with reporting_write_errors(self.fields), lock, _progress(console) as progress:
            for folder in {(self.fields / image.file).parent for image in fetchable}:
                for leftover in folder.glob(".tmp-*"):  # of a run that was killed
                    leftover.unlink()
            task = progress.add_task("download", total=len(images), bytes=0)
            try:
                connection = _web(self.politeness) if self.web and fetchable else nullcontext(_copy)
                asyncio.run(self._run(images, connection, lambda: progress.update(task, advance=1, bytes=self.bytes)))
            except ExceptionGroup as group:  # of workers that met the same obstacle
                raise group.exceptions[0] from group

    async def _run(
        self, images: Sequence[ImageRequest], connection: AbstractAsyncContextManager[Save], advance: Callable[[], None]
    ) -> None:
        pending = iter(images)
        with ThreadPoolExecutor(CHECKS) as self._pool:
            async with connection as save, asyncio.TaskGroup() as group:
                for _ in range(self.politeness.connections + CHECKS):
                    group.create_task(self._worker(pending, save, advance))

    async def _worker(self, pending: Iterator[ImageRequest], save: Save, advance: Callable[[], None]) -> None:
        for image in pending:
            try:
                self.journal.add(image.file, await self._checked(image, save))
            except (FetchError, BadImage) as failure:
                self.failures[image.file] = str(failure)
            advance()

    async def _checked(self, image: ImageRequest, save: Save) -> CheckedFile:
        """Check an existing image; fetch it if it is missing or damaged."""
        path = self.fields / image.file
        exists = path.exists()
        if exists:
            try:
                checked = await self._in_thread(check_image, path, image.component)
            except BadImage:
                if not image.source:
                    raise
            else:
                self.existing += 1
                return checked
        if not image.source:
            raise FetchError(f"not in {self.fields}")
        with reporting_write_errors(self.fields), replacing(path) as temporary:
            await save(image.source, temporary)
            await self._in_thread(unpack, temporary, self.politeness.max_bytes)
            checked = await self._in_thread(check_image, temporary, image.component)
        self.replaced += exists
        self.fetched += 1
        self.bytes += checked.bytes
        return checked

    async def _in_thread(self, function: Callable[[Path, int], T], path: Path, number: int) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, path, number)

    def summary(self) -> str:
        """Return the counts in words, with the first few failures."""
        replaced = f" ({self.replaced} in place of damaged ones)" if self.replaced else ""
        text = f"{self.fetched} images fetched{replaced}, {self.bytes / 1e6:.1f} MB; {self.existing} were there already"
        shown = [f"\n  {file}: {self.failures[file]}" for file in sorted(self.failures)[:SHOWN]]
        more = len(self.failures) - len(shown)
        return text + "".join(shown) + (f"\n  … and {more} failures more" if more else "")


def unpack(path: Path, max_bytes: int) -> None:
    """Decompress a file in place if it is gzipped.

    Raises
    ------
    BadImage
        If it is damaged, or larger than `max_bytes` when decompressed.
    """
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return
    try:
        with gzip.open(path) as file:
            content = file.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadImage(f"damaged gzip ({error})") from error
    if len(content) > max_bytes:
        raise BadImage(f"larger than {max_bytes} bytes when unpacked")
    path.write_bytes(content)


def check_image(path: Path, component: int) -> CheckedFile:
    """Decode an image as later stages do, and hash it.

    Raises
    ------
    BadImage
        If it cannot be decoded.
    """
    image = read_channel(path, component)
    try:
        stat = path.stat()
        return CheckedFile(stat.st_size, stat.st_mtime_ns, sha256(path), list(image.shape))
    except OSError as error:
        raise BadImage(f"unreadable ({error.strerror or error})") from error


@asynccontextmanager
async def _web(politeness: Politeness) -> AsyncIterator[Save]:
    async with Client(politeness) as client:
        yield partial(client.save, max_bytes=politeness.max_bytes, types=TYPES)


async def _copy(source: str, target: Path) -> None:
    if not os.path.isfile(source) or not os.access(source, os.R_OK):
        raise FetchError("not in the mirror, or not readable there")
    await asyncio.to_thread(shutil.copyfile, source, target)


class _Speed(ProgressColumn):
    """Show files per second, and MB so far."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.1f} files/s, {task.fields['bytes'] / 1e6:.1f} MB")


def _progress(console: Console) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_interactive)
