"""Store stage: the parts of all shards → a store with splits and folds, and a report of every field left out."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexy.acquire.crop import CropFields
from lexy.acquire.manifest import FieldEntry
from lexy.acquire.shards import Shard
from lexy.errors import UserError
from lexy.files import replacing, sha256

if TYPE_CHECKING:
    pass

REPORT = "prepare_report.csv"


class MergeCrops:
    """Merge the parts of all shards into a store.

    Parameters
    ----------
    crop : CropFields
        The crop stage, which has the parts.
    work : Path
        Folder of intermediate files.
    store : Path
        Folder of the store.
    splitting : dict
        `fractions`, `folds`, `group` and `seed`, as of `StoreWriter.finish`.
    overwrite : bool
        Replace a store that was made with other settings or from other files.
    """

    def __init__(self, crop: CropFields, work: Path, store: Path, splitting: dict[str, Any], overwrite: bool) -> None:
        self.crop, self.work, self.store, self.splitting, self.overwrite = crop, work, store, splitting, overwrite

    def run(
        self, shards: Sequence[Shard], entries: Sequence[FieldEntry], settings: dict[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """Write the store, unless it exists with the same settings and from the same files.

        Parameters
        ----------
        shards : sequence of Shard
            All of them.
        entries : sequence of FieldEntry
            The whole manifest, with checksums.
        settings : dict
            Everything but the images that decides the content of the store; plain values.

        Returns
        -------
        counts : dict
            As `store.json` has them.
        written : bool
            False if the store existed.

        Raises
        ------
        UserError
            If a shard is not cropped, there is not a single crop, or the folder holds another store and `overwrite` is
            off.
        """
        from lexy.data.store_writer import StoreWriter  # imports pandas and zarr, which the index stage does not need

        source = sha256(self.work / "downloaded.parquet")
        with StoreWriter(self.store) as writer:
            if (info := self._existing(source, settings)) is not None:
                return info["counts"], False
            parts = self._parts(shards, entries)
            counts = self._counts(parts)
            self._write_report(writer.folder / REPORT, parts)
            for shard in shards:
                writer.add_part(self.crop.part(shard))
            if not len(writer):
                raise self._no_crops_error(counts, writer.folder / REPORT)
            info = writer.finish(**self.splitting, settings=settings, source=source, counts=counts)
        return info["counts"], True

    def _existing(self, source: str, settings: dict[str, Any]) -> dict[str, Any] | None:
        """Return the record of the existing store if it is the wanted one; None if a store has to be written."""
        from lexy.data.store import store_info

        if not self.store.exists() or not any(self.store.iterdir()):
            return None
        try:
            info = store_info(self.store)
        except UserError:
            if self.overwrite:
                return None
            raise
        differing = sorted(_differences(info["settings"], settings))
        if info["source"] != source:
            differing.append("the images (names or contents)")
        if not differing:
            return info
        if self.overwrite:
            return None
        raise UserError(
            f"{self.store} was made otherwise; what differs: {', '.join(differing)}. "
            "Name another folder in paths.store, or replace it with prepare.overwrite=true."
        )

    def _parts(self, shards: Sequence[Shard], entries: Sequence[FieldEntry]) -> list[dict[str, Any]]:
        parts = {shard: self.crop.finished(shard, entries) for shard in shards}
        if missing := [shard.index for shard, part in parts.items() if part is None]:
            raise UserError(
                f"{self.crop.part(shards[0]).parent}: not cropped with these settings: "
                f"{', '.join(f'shard {index}' for index in missing)} of {len(parts)}. Run them first: stage=crop "
                f"shard={','.join(map(str, missing))} shards={len(parts)} (with -m where there are several)."
            )
        return [part for part in parts.values() if part is not None]

    def _counts(self, parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """Return the numbers of fields found, failed and dropped, and the counts of each stage."""
        counts: dict[str, Any] = {
            stage: json.loads((self.work / f"{stage}.json").read_text())["counts"] for stage in ("index", "download")
        }
        dropped: Counter[str] = Counter()
        failed = 0
        for part in parts:
            dropped.update(part["dropped"])
            failed += len(part["problems"])
        return counts | {
            "found": counts["index"]["kept"],
            "failed": counts["download"]["failed_fields"] + failed,
            "crowded": dropped["crowded"],
            "dropped": dict(dropped),
        }

    def _write_report(self, path: Path, parts: Iterable[dict[str, Any]]) -> None:
        """Write `stage, what (a file or field), status (left out, failed or dropped), reason` of all stages as CSV."""
        index = json.loads((self.work / "index.json").read_text())
        with path.open("w", newline="") as file, (self.work / "download_report.csv").open(newline="") as failures:
            writer = csv.writer(file)
            writer.writerow(("stage", "what", "status", "reason"))
            writer.writerows(
                ("index", name, "left out", reason) for name, reason in index["source"].get("left_out", [])
            )
            writer.writerows(("download", row["file"], "failed", row["reason"]) for row in csv.DictReader(failures))
            for part in parts:
                writer.writerows(("label, crop", field, "failed", reason) for field, reason in part["problems"])
                writer.writerows(("label, crop", field, "dropped", reason) for field, reason in part["notes"])

    def _no_crops_error(self, counts: dict[str, Any], written: Path) -> UserError:
        """Copy the report beside the store, which is not written, and return the error."""
        report = self.store.with_name(f"{self.store.name}_{REPORT}")
        with replacing(report) as temporary:
            temporary.write_bytes(written.read_bytes())
        hint = f" Try crops.max_nuclei={2 * self.crop.rules.max_nuclei}." if counts["crowded"] else ""
        return UserError(
            f"{self.crop.fields}: not a single crop, so no store was written ({counts['failed']} of {counts['found']} "
            f"fields failed; {reasons_in_words(counts['dropped'])}). Every field with its reason: {report}.{hint}"
        )


def reasons_in_words(reasons: dict[str, int]) -> str:
    """Return counts by reason as text, the most frequent first."""
    return ", ".join(f"{count} × {reason}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"{prefix}{key} ({before} there, {after} now)"
