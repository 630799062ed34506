"""Prepare a store of stills in stages: index → download → label → crop → store, one of them or all."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from annotated_types import Ge, Interval
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lexy.acquire.crop import CropFields
from lexy.acquire.download.images import DownloadImages
from lexy.acquire.label import LabelFields
from lexy.acquire.labellers import Labeller
from lexy.acquire.manifest import FieldEntry, read_manifest
from lexy.acquire.shards import Shard, exclusive
from lexy.acquire.store import REPORT, MergeCrops, reasons_in_words
from lexy.data.crops import CropRules
from lexy.data.splits import SPLITS, Group, check_fractions
from lexy.errors import UserError

Stage = Literal["all", "index", "download", "label", "crop", "store", "report"]
ShardRun = Callable[[Shard, Sequence[FieldEntry], Callable[[int], object]], dict[str, Any]]


@runtime_checkable
class Index(Protocol):
    """Interface of a source that lists fields."""

    def run(self, work: Path, fields: Path) -> dict[str, Any]:
        """Write `work/index.parquet` and `work/index.json`, unless they exist; return the counts."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return what decides which fields there are, as plain values."""
        ...


class PrepareStills:
    """Make a store of stills: run all stages, or one of them.

    Every stage can be interrupted at any time and continues where it stopped; finished work is not repeated.

    Parameters
    ----------
    index : Index
        Lists the fields.
    download : DownloadImages
        Fetches, checks and hashes their images.
    labeller : Labeller
        Segments the nuclei in the nuclear stain.
    rules : CropRules
        Sizes and filters of crops.
    fields : str
        Folder of the images, `<field>_blue.<ext>` and `<field>_green.<ext>`.
    work : str
        Folder of intermediate files: manifests, label images, parts of the store.
    store : str
        Folder of the store.
    stage : str
        `all` (index, download, label, crop and store, in this order), one of these, or `report`.
    shard : int or None
        Shard that `label` and `crop` process; None: all, one after the other.
    shards : int
        Number of shards that labelling and cropping are divided into.
    workers : int
        Number of processes that crop.
    fractions : tuple of three float
        Shares of the groups for train, val and test; sum 1.
    folds : int
        Number of folds for cross-validation by group, at least 2.
    group : str
        Property by which splits and folds group the crops: `field`, `antibody` or `cell_line`.
    seed : int
        Seed of splits and folds; not negative.
    max_failed_share : float
        Largest share of failed fields (0 to 1) with which `run` ends without an error; the store is written anyway.
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
        check_fractions(fractions)
        self.splitting = {"fractions": list(map(float, fractions)), "folds": folds, "group": group, "seed": seed}
        self.merge = MergeCrops(self.crop, self.work, self.store, self.splitting, overwrite)
        self.max_failed_share = max_failed_share
        self.console = Console(highlight=False, markup=False, soft_wrap=True)

    def settings(self) -> dict[str, Any]:
        """Return everything but the images that decides the content of the store, as plain values."""
        return {
            "index": self.index.settings(),
            "labeller": self.label.settings,
            "rules": asdict(self.crop.rules),
            **self.splitting,
        }

    def run(self) -> None:
        """Run the stage.

        Raises
        ------
        UserError
            If there are no fields, an earlier stage is missing, the folder holds another store and `overwrite` is off,
            or more fields failed than allowed.
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
        with exclusive(self.work, "index"):
            for leftover in self.work.glob(".tmp-*"):  # of a run that was killed: a whole atlas is large
                leftover.unlink()
            counts = self.index.run(self.work, self.fields)
        if not counts["kept"]:
            raise UserError(
                f"the index has no field that is wanted ({reasons_in_words(counts['left_out'])}). Look at index.*."
            )

    def _download(self) -> None:
        with exclusive(self.work, "download"):
            self.download.run(self.work, self.fields)

    def _label(self) -> None:
        entries = self._entries()
        results = self._each_shard("label", self.label.run, entries)
        failed = sum(len(result["problems"]) for result in results)
        self.console.print(
            f"label: {sum(result['fields'] for result in results)} fields, "
            f"{sum(result['nuclei'] for result in results)} nuclei, {failed} fields failed"
        )

    def _crop(self) -> None:
        entries = self._entries()
        results = self._each_shard("crop", self.crop.run, entries)
        self.console.print(f"crop: {sum(result['crops'] for result in results)} crops")

    def _each_shard(self, name: str, run: ShardRun, entries: list[FieldEntry]) -> list[dict[str, Any]]:
        columns = TextColumn(f"[bold]{name}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        total = sum(len(shard.of(entries)) for shard in self.shards)
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            task = progress.add_task(name, total=total)
            return [run(shard, entries, partial(progress.advance, task)) for shard in self.shards]

    def _store(self) -> None:
        counts, written = self.merge.run(self.all_shards, self._entries(), self.settings())
        if not written:
            self.console.print(f"{self.store} is up to date (same files, same settings): nothing to do.")
        self._summarise(counts)

    def _report(self) -> None:
        from lexy.report.store.page import write_store_page

        page = write_store_page(self.store, self.store.with_name(f"{self.store.name}_report"))
        self.console.print(f"wrote {page}")

    def _entries(self) -> list[FieldEntry]:
        path = self.work / "downloaded.parquet"
        if not path.is_file():
            raise UserError(f"{path}: not there. Run stage=index and stage=download first (or stage=all).")
        return read_manifest(path)

    def _summarise(self, counts: dict[str, Any]) -> None:
        splits = ", ".join(f"{name} {counts['crops_per_split'][name]}" for name in SPLITS)
        self.console.print(
            f"fields: {counts['found']} found, {counts['fields']} used, {counts['failed']} failed, "
            f"{counts['crowded']} dropped (crowded) · nuclei: {counts['crops']} crops ({splits})"
        )
        if counts["failed"] > self.max_failed_share * counts["found"]:
            raise UserError(
                f"{counts['failed']} of {counts['found']} fields failed, more than "
                f"prepare.max_failed_share={self.max_failed_share:g}. The store was written; fields and reasons are in "
                f"{self.store / REPORT}."
            )
