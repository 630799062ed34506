"""Download stage: fetch the images of an index; write the manifest of the fields whose images are all usable."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from annotated_types import Interval
from rich.console import Console

from lexy.acquire.download.fetch_images import ImageFetcher, ImageRequest
from lexy.acquire.download.hosts import FetchError, allowed_url, without_credentials
from lexy.acquire.download.journal import CheckedFile, Journal, reporting_write_errors
from lexy.acquire.download.politeness import Politeness
from lexy.acquire.fields import COMPONENT
from lexy.acquire.manifest import REQUIRED_CHANNELS, ChannelImage, FieldEntry, read_manifest, write_manifest
from lexy.acquire.shards import finished_record
from lexy.errors import UserError
from lexy.files import fingerprint, replacing, sha256, write_json

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")


class DownloadImages:
    """Fetch, check and hash the images of an index.

    Every usable image is recorded in a journal at once, so that an interrupted run continues where it stopped. An
    existing image that passes the check is never requested again.

    Parameters
    ----------
    politeness : Politeness
        Hosts, limits and patience of requests.
    mirror : str, optional
        Address or folder to fetch images from in place of their own addresses; holds them as `<antibody>/<image>`. With
        a folder no request is sent; if it is the folder of fields, nothing is copied.
    max_failed_share : float
        Largest share of failed fields (0 to 1) with which `run` ends without an error.

    Raises
    ------
    UserError
        If `mirror` is an address that cannot be requested.
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
            self.politeness = replace(politeness, hosts=(*politeness.hosts, _mirror_host(mirror)))
        self.console = Console(highlight=False, markup=False, soft_wrap=True)

    def settings(self) -> dict[str, Any]:
        """Return how images are fetched, as plain values."""
        politeness = asdict(self.politeness) | {"hosts": list(self.politeness.hosts)}
        return {"politeness": politeness, "mirror": self.mirror, "max_failed_share": self.max_failed_share}

    def run(self, work: Path, fields: Path) -> dict[str, int]:
        """Fetch, check and hash all images of `work/index.parquet`.

        Parameters
        ----------
        work : Path
            Folder of the results: `downloaded.parquet` (the fields whose images are all usable, with their SHA-256, in
            the index's order), `download.json` (settings, the index's SHA-256, counts), `download_report.csv` (file,
            address and reason of each failure) and the journal `downloads.jsonl`.
        fields : Path
            Folder of the images. Images without an address have to exist.

        Returns
        -------
        dict of str to int
            `fields`, `failed_fields`, `images`, `failed_images`, `bytes` (of the usable images).

        Raises
        ------
        UserError
            If there is no index or it names an unsafe file, the disk is full or, after everything was written, too many
            fields failed.
        """
        index, manifest, marker = (work / name for name in ("index.parquet", "downloaded.parquet", "download.json"))
        entries = read_manifest(index)
        images = self._images(entries, index, fields)
        source = sha256(index)
        inputs = fingerprint([source, self.settings()])
        with Journal(work / "downloads.jsonl", fields) as journal:
            missing = [image for image in images if not journal.is_current(image.file)]
            info = finished_record(marker, inputs) if manifest.is_file() and not missing else None
            if info:
                self.console.print(f"download: all {len(images)} images are known to be whole: nothing to do.")
            else:
                for outdated in (marker, manifest):
                    outdated.unlink(missing_ok=True)
                failures = self._fetch(missing, fields, journal)
                failures |= _size_mismatches(entries, failures, journal.checked)
                with reporting_write_errors(work):
                    counts = _write_results(work, images, entries, failures, journal.checked)
                    info = {"inputs": inputs, "index": source, "settings": self.settings(), "counts": counts}
                    write_json(marker, info)
        self._check_failures(info["counts"], work / "download_report.csv")
        return info["counts"]

    def _images(self, entries: Sequence[FieldEntry], index: Path, fields: Path) -> list[ImageRequest]:
        """Return all images in the index's order; check their names again, because an index can be edited."""
        if self.folder is not None and not self.folder.is_dir():
            raise UserError(f"download.mirror={self.mirror}: no such folder. Name one that holds <antibody>/<image>.")
        in_place = self.folder is not None and fields.exists() and self.folder.samefile(fields)
        images: dict[str, ImageRequest] = {}
        for entry in entries:
            if not entry.images.keys() >= set(REQUIRED_CHANNELS):
                raise UserError(f"{index}: field {entry.field!r} lacks its blue or green image. Make the index again.")
            for channel, image in entry.images.items():
                if not _is_safe(image) or image.file in images:
                    what = "is there twice" if image.file in images else "is no safe name of an image"
                    raise UserError(f"{index}: field {entry.field!r}: {image.file!r} {what}. Make the index again.")
                images[image.file] = ImageRequest(
                    image.file, COMPONENT[channel], "" if in_place else self._source(image)
                )
        return list(images.values())

    def _source(self, image: ChannelImage) -> str:
        if self.mirror is None or not image.address:
            return image.address
        if self.folder is not None:
            return str(self.folder / image.file)
        return f"{self.mirror.rstrip('/')}/{quote(image.file)}"

    def _fetch(self, missing: Sequence[ImageRequest], fields: Path, journal: Journal) -> dict[str, str]:
        if not missing:
            return {}
        fetcher = ImageFetcher(fields, journal, self.politeness, web=self.folder is None)
        fetcher.run(missing, self.console)
        self.console.print(f"download: {fetcher.summary()}")
        return fetcher.failures

    def _check_failures(self, counts: dict[str, int], report: Path) -> None:
        if not counts["failed_images"]:
            return
        failed = f"{counts['failed_images']} images of {counts['failed_fields']} of {counts['fields']} fields failed"
        if counts["failed_fields"] > self.max_failed_share * counts["fields"]:
            raise UserError(
                f"{failed}, more than download.max_failed_share={self.max_failed_share:g} of the fields. Files and "
                f"reasons are in {report}. The same again asks for them once more; all other fields can be used."
            )
        self.console.print(f"download: {failed}; files and reasons are in {report}")


def _size_mismatches(
    entries: Sequence[FieldEntry], failures: Mapping[str, str], checked: Mapping[str, CheckedFile]
) -> dict[str, str]:
    """Return the reason, by the first image's file, for each field whose images differ in size."""
    found = {}
    for entry in entries:
        shapes = {channel: checked[it.file].shape for channel, it in entry.images.items() if it.file not in failures}
        if len(set(map(tuple, shapes.values()))) > 1:
            sizes = ", ".join(f"{channel} {height} × {width}" for channel, (height, width) in shapes.items())
            found[entry.images[next(iter(shapes))].file] = f"wrongly sized: the field's images differ ({sizes} px)"
    return found


def _write_results(
    work: Path,
    images: Sequence[ImageRequest],
    entries: Sequence[FieldEntry],
    failures: Mapping[str, str],
    checked: Mapping[str, CheckedFile],
) -> dict[str, int]:
    """Write the report and the manifest of usable fields; return the counts."""
    with replacing(work / "download_report.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "address", "reason"))
        writer.writerows((it.file, it.source, failures[it.file]) for it in images if it.file in failures)
    usable = [entry for entry in entries if not any(image.file in failures for image in entry.images.values())]
    write_manifest(work / "downloaded.parquet", (_with_hashes(entry, checked) for entry in usable))
    return {
        "fields": len(entries),
        "failed_fields": len(entries) - len(usable),
        "images": len(images),
        "failed_images": len(failures),
        "bytes": sum(checked[image.file].bytes for image in images if image.file not in failures),
    }


def _with_hashes(entry: FieldEntry, checked: Mapping[str, CheckedFile]) -> FieldEntry:
    images = {channel: replace(it, sha256=checked[it.file].sha256) for channel, it in entry.images.items()}
    return replace(entry, images=images)


def _is_safe(image: ChannelImage) -> bool:
    """Return whether the file is an image below the folder of fields, with a plain name if it is downloaded."""
    parts = image.file.split("/")
    if not image.file.lower().endswith(SUFFIXES) or not image.file.isprintable() or "\\" in image.file:
        return False
    if image.address:
        return all(map(PLAIN.fullmatch, parts))
    return all(0 < len(part.encode()) < 256 and part not in (".", "..") for part in parts)


def _mirror_host(mirror: str) -> str:
    """Return the host of a mirror's address, as `politeness.hosts` spells it."""
    try:
        host = urlsplit(mirror).hostname or ""
        host = f"[{host}]" if ":" in host else host
        allowed_url(mirror, [host])
    except (FetchError, ValueError) as error:
        shown = without_credentials(mirror)
        raise UserError(f"download.mirror={shown}: {error}. Name a folder or an https address.") from error
    return host
