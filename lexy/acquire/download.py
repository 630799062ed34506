"""Stage: an index's images → whole files, checked and hashed → the manifest of the fields that have all of theirs."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from annotated_types import Interval
from rich.console import Console

from lexy.acquire.fetch_images import Bringer, Wanted
from lexy.acquire.fields import COMPONENT
from lexy.acquire.hosts import NotFetched, permitted, shown
from lexy.acquire.http import Politeness
from lexy.acquire.journal import Journal, Whole, writing
from lexy.acquire.manifest import ChannelImage, FieldEntry, read_manifest, write_manifest
from lexy.acquire.shards import finished
from lexy.errors import UserError
from lexy.files import fingerprint, replacing, sha256, write_json

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")


class DownloadImages:
    """Brings the images of an index, checks and hashes them.

    Every whole image is noted in a journal at once, so that a run that was stopped goes on where it was; what is whole
    already, noted or not, is never asked for again.

    Parameters
    ----------
    politeness : Politeness
        What is asked for on the web, and how fast.
    mirror : str, optional
        Where images are brought from in place of their own addresses: an address or a folder, below which they lie as
        `<antibody>/<image>`. With a folder nothing is sent; if it is the folder of fields, nothing is copied.
    max_failed_share : float
        `run` ends with an error if a larger share of the fields failed; 0 to 1.

    Raises
    ------
    UserError
        If `mirror` is an address that cannot be asked for.
    """

    def __init__(
        self,
        politeness: Politeness,
        mirror: str | None = None,
        max_failed_share: Annotated[float, Interval(ge=0, le=1)] = 0.02,
    ) -> None:
        self.politeness, self.mirror, self.max_failed_share = politeness, mirror, max_failed_share
        self.folder = Path(mirror).expanduser() if mirror and "://" not in mirror else None
        if mirror and self.folder is None:
            self.politeness = replace(politeness, hosts=(*politeness.hosts, _host(mirror)))
        self.console = Console()

    def settings(self) -> dict[str, Any]:
        """How images are brought, as plain values."""
        politeness = asdict(self.politeness) | {"hosts": list(self.politeness.hosts)}
        return {"politeness": politeness, "mirror": self.mirror, "max_failed_share": self.max_failed_share}

    def run(self, work: Path, fields: Path) -> dict[str, int]:
        """Bring, check and hash all images of `work/index.parquet`.

        Parameters
        ----------
        work : Path
            Gets `downloaded.parquet` (the fields all of whose images are whole, with their SHA-256, in the index's
            order), `download.json` (settings, the index's SHA-256, counts), `download_report.csv` (file, address and
            reason of each failure) and the journal `downloads.jsonl`.
        fields : Path
            Gets the images. Those without an address have to be there.

        Returns
        -------
        dict of str to int
            `fields`, `failed_fields`, `images`, `failed_images`, `bytes` (of the whole images).

        Raises
        ------
        UserError
            There is no index or it names an unsafe file, the disk is full, or, after everything was written, too many
            fields failed.
        """
        index, manifest, marker = (work / name for name in ("index.parquet", "downloaded.parquet", "download.json"))
        entries = read_manifest(index)
        images = self._images(entries, index, fields)
        source = sha256(index)
        inputs = fingerprint([source, self.settings()])
        with Journal(work / "downloads.jsonl", fields) as journal:
            missing = [image for image in images if not journal.holds(image.file)]
            info = finished(marker, inputs) if manifest.is_file() and not missing else None
            if info:
                self._say(f"download: all {len(images)} images are known to be whole: nothing to do.")
            else:
                for outdated in (marker, manifest):
                    outdated.unlink(missing_ok=True)
                failures = self._bring(missing, fields, journal)
                failures |= _unequal(entries, failures, journal.whole)
                with writing(work):
                    counts = _write(work, images, entries, failures, journal.whole)
                    info = {"inputs": inputs, "index": source, "settings": self.settings(), "counts": counts}
                    write_json(marker, info)
        self._judge(info["counts"], work / "download_report.csv")
        return info["counts"]

    def _images(self, entries: Sequence[FieldEntry], index: Path, fields: Path) -> list[Wanted]:
        """All images in the index's order; their names are looked at again, for an index can be edited."""
        if self.folder is not None and not self.folder.is_dir():
            raise UserError(f"download.mirror={self.mirror}: no such folder. Name one that holds <antibody>/<image>.")
        in_place = self.folder is not None and fields.exists() and self.folder.samefile(fields)
        images: dict[str, Wanted] = {}
        for entry in entries:
            if not {"blue", "green"} <= entry.images.keys():
                raise UserError(f"{index}: field {entry.field!r} lacks its blue or green image. Make the index again.")
            for channel, image in entry.images.items():
                if not _is_safe(image) or image.file in images:
                    what = "is there twice" if image.file in images else "is no safe name of an image"
                    raise UserError(f"{index}: field {entry.field!r}: {image.file!r} {what}. Make the index again.")
                images[image.file] = Wanted(image.file, COMPONENT[channel], "" if in_place else self._place(image))
        return list(images.values())

    def _place(self, image: ChannelImage) -> str:
        if self.mirror is None or not image.address:
            return image.address
        if self.folder is not None:
            return str(self.folder / image.file)
        return f"{self.mirror.rstrip('/')}/{quote(image.file)}"

    def _bring(self, missing: Sequence[Wanted], fields: Path, journal: Journal) -> dict[str, str]:
        if not missing:
            return {}
        bringer = Bringer(fields, journal, self.politeness, web=self.folder is None)
        bringer.run(missing, self.console)
        self._say(f"download: {bringer.summary()}")
        return bringer.failures

    def _judge(self, counts: dict[str, int], report: Path) -> None:
        if not counts["failed_images"]:
            return
        failed = f"{counts['failed_images']} images of {counts['failed_fields']} of {counts['fields']} fields failed"
        if counts["failed_fields"] > self.max_failed_share * counts["fields"]:
            raise UserError(
                f"{failed}, more than download.max_failed_share={self.max_failed_share:g} of the fields. Files and "
                f"reasons are in {report}. The same again asks for them once more; all other fields can be used."
            )
        self._say(f"download: {failed}; files and reasons are in {report}")

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _unequal(entries: Sequence[FieldEntry], failures: Mapping[str, str], whole: Mapping[str, Whole]) -> dict[str, str]:
    """Fields whose whole images differ in size: the reason, by the file of the first."""
    found = {}
    for entry in entries:
        shapes = {channel: whole[it.file].shape for channel, it in entry.images.items() if it.file not in failures}
        if len(set(map(tuple, shapes.values()))) > 1:
            sizes = ", ".join(f"{channel} {height} × {width}" for channel, (height, width) in shapes.items())
            found[entry.images[next(iter(shapes))].file] = f"wrongly sized: the field's images differ ({sizes} px)"
    return found


def _write(
    work: Path,
    images: Sequence[Wanted],
    entries: Sequence[FieldEntry],
    failures: Mapping[str, str],
    whole: Mapping[str, Whole],
) -> dict[str, int]:
    """Write the report and the manifest of whole fields; give the counts."""
    with replacing(work / "download_report.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "address", "reason"))
        writer.writerows((it.file, it.place, failures[it.file]) for it in images if it.file in failures)
    good = [entry for entry in entries if not any(image.file in failures for image in entry.images.values())]
    write_manifest(work / "downloaded.parquet", (_hashed(entry, whole) for entry in good))
    return {
        "fields": len(entries),
        "failed_fields": len(entries) - len(good),
        "images": len(images),
        "failed_images": len(failures),
        "bytes": sum(whole[image.file].bytes for image in images if image.file not in failures),
    }


def _hashed(entry: FieldEntry, whole: Mapping[str, Whole]) -> FieldEntry:
    images = {channel: replace(it, sha256=whole[it.file].sha256) for channel, it in entry.images.items()}
    return replace(entry, images=images)


def _is_safe(image: ChannelImage) -> bool:
    """Whether the file is an image below the folder of fields; what comes from elsewhere gets a plain name only."""
    parts = image.file.split("/")
    if not image.file.lower().endswith(SUFFIXES) or not image.file.isprintable() or "\\" in image.file:
        return False
    if image.address:
        return all(map(PLAIN.fullmatch, parts))
    return all(0 < len(part.encode()) < 256 and part not in (".", "..") for part in parts)


def _host(mirror: str) -> str:
    """The host of a mirror's address, as `politeness.hosts` spells it."""
    try:
        host = urlsplit(mirror).hostname or ""
        host = f"[{host}]" if ":" in host else host
        permitted(mirror, [host])
    except (NotFetched, ValueError) as error:
        raise UserError(f"download.mirror={shown(mirror)}: {error}. Name a folder or an https address.") from error
    return host
