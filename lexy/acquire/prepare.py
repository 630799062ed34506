"""The way from an index to a store of stills: index → download → label → crop → store, each stage alone or all."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, runtime_checkable

from annotated_types import Ge, Interval
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lexy.acquire.crop import CropFields
from lexy.acquire.download import DownloadImages
from lexy.acquire.label import LabelFields
from lexy.acquire.labellers import Labeller
from lexy.acquire.manifest import FieldEntry, read_manifest
from lexy.acquire.shards import Shard, only_one
from lexy.data.crops import CropRules
from lexy.data.splits import SPLITS, Group, check_fractions
from lexy.errors import UserError
from lexy.files import replacing, sha256

if TYPE_CHECKING:
    from lexy.data.store_writer import StoreWriter

Stage = Literal["all", "index", "download", "label", "crop", "store", "report"]
REPORT = "prepare_report.csv"
ShardRun = Callable[[Shard, Sequence[FieldEntry], Callable[[int], object]], dict[str, Any]]


@runtime_checkable
class Index(Protocol):
    """Whatever says which fields there are."""

    def run(self, work: Path, fields: Path) -> dict[str, Any]:
        """Write `work/index.parquet` and `work/index.json`, if they are not there already; give the counts."""
        ...

    def settings(self) -> dict[str, Any]:
        """What decides which fields there are, as plain values."""
        ...


class PrepareStills:
    """Make a store of stills, the whole way or one stage of it.

    Every stage can be stopped at any moment and goes on where it was; what is done is not done again.

    Parameters
    ----------
    index : Index
        Says which fields there are.
    download : DownloadImages
        Brings their images, checks and hashes them.
    labeller : Labeller
        Finds the nuclei in the nuclear stain.
    rules : CropRules
        How fields are cut into crops.
    fields : str
        Folder of the images, `<field>_blue.<ext>` and `<field>_green.<ext>`.
    work : str
        Folder of everything else: manifests, label images, parts of the store.
    store : str
        Folder of the store to be made.
    stage : str
        `all` (index, download, label, crop and store in a row), one of these, or `report`.
    shard : int or None
        Which shard `label` and `crop` work on; None: all, one after the other.
    shards : int
        Number of pieces that labelling and cropping are divided into.
    workers : int
        Processes that crop.
    fractions : tuple of three float
        Shares of the groups for train, val and test; sum 1.
    folds : int
        Number of folds for cross-validation by group, at least 2.
    group : str
        What splits and folds go by: `field`, `antibody` or `cell_line`.
    seed : int
        Of splits and folds; not negative.
    max_failed_share : float
        With more failed fields than this share (0 to 1) `run` ends with an error, after the store was written.
    overwrite : bool
        Replace a store that was made with other settings or from other files.

    Raises
    ------
    UserError
        If `fractions` are not three shares of 1, there is no such shard, or the stage has no shards.
    """

    def __init__(
        self,
        index: Index,
        download: DownloadImages,
        labeller: Labeller,
        rules: CropRules,
        fields: str,
        work: str,
        store: str,
        stage: Stage = "all",
        shard: Annotated[int, Ge(0)] | None = None,
        shards: Annotated[int, Ge(1)] = 16,
        workers: Annotated[int, Ge(1)] = 2,
        fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
        folds: Annotated[int, Ge(2)] = 5,
        group: Group = "field",
        seed: Annotated[int, Ge(0)] = 0,
        max_failed_share: Annotated[float, Interval(ge=0, le=1)] = 0.1,
        overwrite: bool = False,
    ) -> None:
        self.index, self.download = index, download
        self.fields, self.work, self.store = Path(fields), Path(work), Path(store)
        self.label = LabelFields(labeller, self.work, self.fields)
        self.crop = CropFields(rules, self.label, self.work, self.fields, workers)
        self.stage = stage
        if shard is not None and stage not in ("label", "crop"):
            raise UserError(
                f"stage={stage} works on all shards. Leave shard={shard} out, or choose stage=label or crop."
            )
        self.all_shards = [Shard(at, shards) for at in range(shards)]
        self.shards = self.all_shards if shard is None else [Shard(shard, shards)]
        self.fractions = (float(fractions[0]), float(fractions[1]), float(fractions[2]))
        check_fractions(self.fractions)
        self.folds, self.seed = folds, seed
        self.group: Group = group
        self.max_failed_share, self.overwrite = max_failed_share, overwrite
        self.console = Console()

    def settings(self) -> dict[str, Any]:
        """Everything but the images that decides what is in the store, as plain values."""
        return {
            "index": self.index.settings(),
            "labeller": self.label.settings,
            "rules": asdict(self.crop.rules),
            "fractions": list(self.fractions),
            "folds": self.folds,
            "group": self.group,
            "seed": self.seed,
        }

    def run(self) -> None:
        """Run the stage.

        Raises
        ------
        UserError
            If there is nothing to work on, an earlier stage is missing, there is another store at the same place and
            `overwrite` is off, or more failed than is allowed.
        """
        if self.stage == "report":
            return self._report()
        if self.stage == "all":
            self.label.settings  # noqa: B018  missing weights are an error before hours of downloading, not after
        stages: dict[str, Callable[[], None]] = {
            "index": self._index,
            "download": self._download,
            "label": self._label,
            "crop": self._crop,
            "store": self._store,
        }
        for run in stages.values() if self.stage == "all" else [stages[self.stage]]:
            run()

    def _index(self) -> None:
        with only_one(self.work, "index"):
            for leftover in self.work.glob(".tmp-*"):  # of a run that was killed: a whole atlas is large
                leftover.unlink()
            counts = self.index.run(self.work, self.fields)
        if not counts["kept"]:
            raise UserError(f"the index has no field that is wanted ({_listed(counts['left_out'])}). Look at index.*.")

    def _download(self) -> None:
        with only_one(self.work, "download"):
            self.download.run(self.work, self.fields)

    def _label(self) -> None:
        entries = self._entries()
        results = self._each_shard("label", self.label.run, entries)
        failed = sum(len(result["problems"]) for result in results)
        self._say(
            f"label: {sum(result['fields'] for result in results)} fields, "
            f"{sum(result['nuclei'] for result in results)} nuclei, {failed} fields failed"
        )

    def _crop(self) -> None:
        entries = self._entries()
        results = self._each_shard("crop", self.crop.run, entries)
        self._say(f"crop: {sum(result['crops'] for result in results)} crops")

    def _each_shard(self, name: str, run: ShardRun, entries: list[FieldEntry]) -> list[dict[str, Any]]:
        columns = TextColumn(f"[bold]{name}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        total = sum(len(shard.of(entries)) for shard in self.shards)
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            task = progress.add_task(name, total=total)
            return [run(shard, entries, partial(progress.advance, task)) for shard in self.shards]

    def _store(self) -> None:
        from lexy.data.store_writer import StoreWriter  # pandas and zarr, which the index of an atlas can do without

        entries = self._entries()
        source = sha256(self.work / "downloaded.parquet")
        with StoreWriter(self.store) as writer:
            info = self._finished(source)
            if info is None:
                info = self._merge(writer, entries, source)
            else:
                self._say(f"{self.store} is up to date (same files, same settings): nothing to do.")
        self._closing(info["counts"])

    def _report(self) -> None:
        from lexy.report.store.page import write_report

        page = write_report(self.store, self.store.with_name(f"{self.store.name}_report"))
        self._say(f"wrote {page}")

    def _entries(self) -> list[FieldEntry]:
        path = self.work / "downloaded.parquet"
        if not path.is_file():
            raise UserError(f"{path}: not there. Run stage=index and stage=download first (or stage=all).")
        return read_manifest(path)

    def _finished(self, source: str) -> dict[str, Any] | None:
        """What the existing store says if it is the wanted one; None if it is to be made."""
        from lexy.data.store import store_info

        if not self.store.exists() or not any(self.store.iterdir()):
            return None
        try:
            info = store_info(self.store)
        except UserError:
            if self.overwrite:
                return None
            raise
        differing = sorted(_differing(info["settings"], self.settings()))
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

    def _merge(self, writer: "StoreWriter", entries: list[FieldEntry], source: str) -> dict[str, Any]:
        parts = {shard: self.crop.done(shard, entries) for shard in self.all_shards}
        if missing := [shard.index for shard, part in parts.items() if part is None]:
            raise UserError(
                f"{self.crop.part(self.all_shards[0]).parent}: not cropped with these settings: "
                f"{', '.join(f'shard {index}' for index in missing)} of {len(parts)}. Run them first: stage=crop "
                f"shard={','.join(map(str, missing))} shards={len(parts)} (with -m where there are several)."
            )
        counts = self._counts(part for part in parts.values() if part)
        self._write_report(writer.folder / REPORT, [part for part in parts.values() if part])
        for shard in parts:
            writer.add_part(self.crop.part(shard))
        if not len(writer):
            raise self._nothing(counts, writer.folder / REPORT)
        return writer.finish(
            fractions=self.fractions,
            folds=self.folds,
            group=self.group,
            seed=self.seed,
            settings=self.settings(),
            source=source,
            counts=counts,
        )

    def _counts(self, parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """What became of the fields, stage by stage."""
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
        """CSV of `stage, what (a file or field), status (left out, failed or dropped), reason`, of all stages."""
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

    def _nothing(self, counts: dict[str, Any], written: Path) -> UserError:
        """No crop at all: the report goes beside the store that is not made."""
        report = self.store.with_name(f"{self.store.name}_{REPORT}")
        with replacing(report) as temporary:
            temporary.write_bytes(written.read_bytes())
        hint = f" Try crops.max_nuclei={2 * self.crop.rules.max_nuclei}." if counts["crowded"] else ""
        return UserError(
            f"{self.fields}: not a single crop, so no store was written ({counts['failed']} of {counts['found']} "
            f"fields failed; {_listed(counts['dropped'])}). Every field with its reason: {report}.{hint}"
        )

    def _closing(self, counts: dict[str, Any]) -> None:
        splits = ", ".join(f"{name} {counts['crops_per_split'][name]}" for name in SPLITS)
        self._say(
            f"fields: {counts['found']} found, {counts['fields']} used, {counts['failed']} failed, "
            f"{counts['crowded']} dropped (crowded) · nuclei: {counts['crops']} crops ({splits})"
        )
        if counts["failed"] > self.max_failed_share * counts["found"]:
            raise UserError(
                f"{counts['failed']} of {counts['found']} fields failed, more than "
                f"prepare.max_failed_share={self.max_failed_share:g}. The store was written; fields and reasons are in "
                f"{self.store / REPORT}."
            )

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)


def _listed(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count} × {reason}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))


def _differing(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differing(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"{prefix}{key} ({before} there, {after} now)"
