"""Images into the folder of fields: from the web or another folder, checked, hashed and noted, several at a time."""

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

from lexy.acquire.fields import BadImage, read_channel
from lexy.acquire.hosts import NotFetched
from lexy.acquire.http import Client, Politeness
from lexy.acquire.journal import Journal, Whole, writing
from lexy.acquire.shards import only_one
from lexy.files import replacing, sha256

TYPES = ("image/", "application/octet-stream", "binary/octet-stream", "application/gzip", "application/x-gzip")
CHECKS = os.cpu_count() or 1  # images decoded and hashed at a time
SHOWN = 5  # failures in the summary

T = TypeVar("T")
Save = Callable[[str, Path], Awaitable[None]]  # what is at a place, into a file; raises NotFetched


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image that is wanted.

    Attributes
    ----------
    file : str
        Path below the folder of fields.
    component : int
        Of a colour image: 0 red, 1 green, 2 blue.
    place : str
        Where it can be had: an address, or a file in another folder; '' if it has to be there already.
    """

    file: str
    component: int
    place: str


class Bringer:
    """Brings, checks, hashes and notes images.

    Parameters
    ----------
    fields : Path
        Folder of the images.
    journal : Journal
        Gets a line for each whole image.
    politeness : Politeness
        How the web is asked, and the size limit.
    web : bool
        Whether images are asked for on the web; otherwise their places are files of this machine.

    Attributes
    ----------
    failures : dict of str to str
        Reason by file.
    brought, found, replaced, bytes : int
        Images brought, found there and whole, found there but damaged and replaced; bytes brought.
    """

    def __init__(self, fields: Path, journal: Journal, politeness: Politeness, *, web: bool) -> None:
        self.fields, self.journal, self.politeness, self.web = fields, journal, politeness, web
        self.failures: dict[str, str] = {}
        self.brought, self.found, self.replaced, self.bytes = 0, 0, 0, 0

    def run(self, images: Sequence[Wanted], console: Console) -> None:
        """Go through all images, with a progress bar; what fails is in `failures`.

        Raises
        ------
        UserError
            The folder of fields cannot be written to, or another process writes to it.
        """
        wanted = [image for image in images if image.place]
        alone: AbstractContextManager[None] = only_one(self.fields, "images") if wanted else nullcontext()
        with writing(self.fields), alone, _progress(console) as progress:
            for folder in {(self.fields / image.file).parent for image in wanted}:
                for left_over in folder.glob(".tmp-*"):  # by a run that was killed
                    left_over.unlink()
            task = progress.add_task("download", total=len(images), bytes=0)
            try:
                source = _web(self.politeness) if self.web and wanted else nullcontext(_copy)
                asyncio.run(self._all(images, source, lambda: progress.update(task, advance=1, bytes=self.bytes)))
            except ExceptionGroup as group:  # of workers that met the same obstacle
                raise group.exceptions[0] from group

    async def _all(
        self, images: Sequence[Wanted], source: AbstractAsyncContextManager[Save], advance: Callable[[], None]
    ) -> None:
        pending = iter(images)
        with ThreadPoolExecutor(CHECKS) as self._pool:
            async with source as save, asyncio.TaskGroup() as group:
                for _ in range(self.politeness.connections + CHECKS):
                    group.create_task(self._work(pending, save, advance))

    async def _work(self, pending: Iterator[Wanted], save: Save, advance: Callable[[], None]) -> None:
        for image in pending:
            try:
                self.journal.note(image.file, await self._whole(image, save))
            except (NotFetched, BadImage) as failure:
                self.failures[image.file] = str(failure)
            advance()

    async def _whole(self, image: Wanted, save: Save) -> Whole:
        path = self.fields / image.file
        there = path.exists()
        if there:
            try:
                whole = await self._in_thread(check_image, path, image.component)
            except BadImage:
                if not image.place:
                    raise
            else:
                self.found += 1
                return whole
        if not image.place:
            raise NotFetched(f"not in {self.fields}")
        with writing(self.fields), replacing(path) as temporary:
            await save(image.place, temporary)
            await self._in_thread(unpack, temporary, self.politeness.max_bytes)
            whole = await self._in_thread(check_image, temporary, image.component)
        self.replaced += there
        self.brought += 1
        self.bytes += whole.bytes
        return whole

    async def _in_thread(self, function: Callable[[Path, int], T], path: Path, number: int) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, path, number)

    def summary(self) -> str:
        """What was done, in words, with the first few failures."""
        replaced = f" ({self.replaced} in place of damaged ones)" if self.replaced else ""
        text = f"{self.brought} images brought{replaced}, {self.bytes / 1e6:.1f} MB; {self.found} were there already"
        shown = [f"\n  {file}: {self.failures[file]}" for file in sorted(self.failures)[:SHOWN]]
        more = len(self.failures) - len(shown)
        return text + "".join(shown) + (f"\n  … and {more} failures more" if more else "")


def unpack(path: Path, max_bytes: int) -> None:
    """Undo gzip, if the file is gzipped.

    Raises
    ------
    BadImage
        It is damaged, or larger than `max_bytes` without it.
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


def check_image(path: Path, component: int) -> Whole:
    """Read an image in the same way as whoever uses it later, and hash it.

    Raises
    ------
    BadImage
        It is no whole image.
    """
    image = read_channel(path, component)
    try:
        stat = path.stat()
        return Whole(stat.st_size, stat.st_mtime_ns, sha256(path), list(image.shape))
    except OSError as error:
        raise BadImage(f"unreadable ({error.strerror or error})") from error


@asynccontextmanager
async def _web(politeness: Politeness) -> AsyncIterator[Save]:
    async with Client(politeness) as client:
        yield partial(client.save, max_bytes=politeness.max_bytes, types=TYPES)


async def _copy(place: str, target: Path) -> None:
    if not os.path.isfile(place) or not os.access(place, os.R_OK):
        raise NotFetched("not in the mirror, or not readable there")
    await asyncio.to_thread(shutil.copyfile, place, target)


class _Speed(ProgressColumn):
    """Files a second, and MB so far."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.1f} files/s, {task.fields['bytes'] / 1e6:.1f} MB")


def _progress(console: Console) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_interactive)
