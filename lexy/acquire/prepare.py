"""A folder of fields → labelled nuclei → crops → a store of stills."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Interval
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lexy.acquire.fields import EXPECTED, FieldFiles, Problem, find_fields, read_field, relative
from lexy.acquire.labellers import Labeller
from lexy.data.crops import CropRules, check_shape, crop_field
from lexy.data.field import Field
from lexy.data.splits import SPLITS, check_fractions
from lexy.data.store import StoreWriter, store_info
from lexy.errors import UserError
from lexy.files import fingerprint, replacing

BATCH = 4  # fields read and labelled together
REPORT = "prepare_report.csv"


class PrepareStills:
    """Make a store of stills from a folder of fields.

    Parameters
    ----------
    fields : str
        Folder of `<antibody>/<name>_blue.<ext>` and `…_green.<ext>`.
    store : str
        Folder of the store to be made.
    labeller : Labeller
        Finds the nuclei in the nuclear stain.
    rules : CropRules
        How fields are cut into crops.
    fractions : tuple of three float
        Shares of the fields for train, val and test; sum 1.
    folds : int
        Number of folds for cross-validation by field, at least 2.
    seed : int
        Of splits and folds; not negative.
    max_failed_share : float
        With more failed fields than this share (0 to 1) `run` ends with an error, after the store was written.
    overwrite : bool
        Replace a store that was made with other settings or from other files.

    Raises
    ------
    UserError
        If `fractions` are not three shares of 1.
    """

    def __init__(
        self,
        fields: str,
        store: str,
        labeller: Labeller,
        rules: CropRules,
        fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
        folds: Annotated[int, Ge(2)] = 5,
        seed: Annotated[int, Ge(0)] = 0,
        max_failed_share: Annotated[float, Interval(ge=0, le=1)] = 0.1,
        overwrite: bool = False,
    ) -> None:
        self.fields, self.store = Path(fields), Path(store)
        self.labeller, self.rules = labeller, rules
        self.fractions = (float(fractions[0]), float(fractions[1]), float(fractions[2]))
        check_fractions(self.fractions)
        self.folds, self.seed = folds, seed
        self.max_failed_share, self.overwrite = max_failed_share, overwrite

    def settings(self) -> dict[str, Any]:
        """Everything but the files that decides what is in the store, as plain values."""
        labeller = type(self.labeller)
        parameters = {
            name: value
            for name, value in vars(self.labeller).items()
            if not name.startswith("_") and isinstance(value, str | int | float | bool | None)
        }
        return {
            "labeller": {"class": f"{labeller.__module__}.{labeller.__qualname__}", **parameters},
            "rules": asdict(self.rules),
            "fractions": list(self.fractions),
            "folds": self.folds,
            "seed": self.seed,
        }

    def run(self) -> None:
        """Make the store; do nothing if it is there already, made from the same files with the same settings.

        Raises
        ------
        UserError
            If there are no fields, no crops, too few fields for the folds, more failures than `max_failed_share`, or
            another store at the same place and `overwrite` is off.
        """
        found, problems = find_fields(self.fields)
        if not found and not problems:
            raise UserError(f"{self.fields}: no fields of view there. Expected {EXPECTED}. Set paths.fields=DIR.")
        console = Console()
        source = _source(found, problems, self.fields)
        with StoreWriter(self.store) as writer:
            info = self._finished(source)
            if info is None:
                info = self._fill(writer, found, problems, source, console)
            else:
                console.print(f"{self.store} is up to date (same files, same settings): nothing to do.", soft_wrap=True)
        _closing(info, console)
        self._check_failed(info["counts"])

    def _finished(self, source: str) -> dict[str, Any] | None:
        """What the existing store says if it is the wanted one; None if it is to be made."""
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
            differing.append("the files in paths.fields (names, sizes or times)")
        if not differing:
            return info
        if self.overwrite:
            return None
        raise UserError(
            f"{self.store} was made otherwise; what differs: {', '.join(differing)}. "
            "Name another folder in paths.store, or replace it with prepare.overwrite=true."
        )

    def _fill(
        self,
        writer: StoreWriter,
        found: Sequence[FieldFiles],
        problems: list[Problem],
        source: str,
        console: Console,
    ) -> dict[str, Any]:
        dropped: Counter[str] = Counter()
        notes: list[Problem] = []
        blue = {item.name: relative(item.blue, self.fields) for item in found}
        total = len(found) + len(problems)
        columns = TextColumn("[bold]fields"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=console, transient=True) as progress:
            for field in self._labelled(progress.track(found), problems):
                assert field.labels is not None
                result = crop_field(field, field.labels, self.rules)
                dropped += result.dropped
                if result.dropped["no nuclei"]:
                    problems.append(Problem(blue[field.name], "labels without nuclei"))
                else:
                    notes += [Problem(blue[field.name], f"{n} × {why}") for why, n in result.dropped.items()]
                writer.add(result, field)
        _write_report(writer.folder / REPORT, problems, notes)
        if not len(writer):
            raise self._nothing(problems, notes, dropped)
        counts = {
            "found": total,
            "failed": len(problems),
            "crowded": dropped["crowded"],
            "dropped": dict(dropped),
        }
        return writer.finish(
            fractions=self.fractions,
            folds=self.folds,
            seed=self.seed,
            settings=self.settings(),
            source=source,
            counts=counts,
        )

    def _labelled(self, files: Iterable[FieldFiles], problems: list[Problem]) -> Iterator[Field]:
        """Read and label fields a few at a time; what cannot be used goes to `problems`."""
        remaining = iter(files)
        while batch := list(islice(remaining, BATCH)):
            read = [self._read(item) for item in batch]
            problems += [item for item in read if isinstance(item, Problem)]
            fields = [item for item in read if isinstance(item, Field)]
            labels = self.labeller.label([field.nuclear for field in fields])
            for field, instances in zip(fields, labels, strict=True):
                yield Field(field.name, field.nuclear, field.protein, instances, field.antibody, field.cell_line)

    def _read(self, files: FieldFiles) -> Field | Problem:
        field = read_field(files, self.fields)
        if isinstance(field, Problem):
            return field
        try:
            check_shape(field.protein.shape, self.rules)
        except ValueError as error:
            return Problem(relative(files.blue, self.fields), str(error))
        return field

    def _nothing(self, problems: list[Problem], notes: list[Problem], dropped: Counter[str]) -> UserError:
        """No crop at all: the report goes beside the store that is not made."""
        report = self.store.with_name(f"{self.store.name}_{REPORT}")
        with replacing(report) as temporary:
            _write_report(temporary, problems, notes)
        reasons = Counter(problem.reason for problem in problems)
        reasons.update({reason: count for reason, count in dropped.items() if reason != "no nuclei"})
        hint = f" Try crops.max_nuclei={2 * self.rules.max_nuclei}." if dropped["crowded"] else ""
        return UserError(
            f"{self.fields}: not a single crop, so no store was written ("
            + ", ".join(f"{count} × {reason}" for reason, count in reasons.most_common(6))
            + f"). Every file with its reason: {report}.{hint}"
        )

    def _check_failed(self, counts: dict[str, Any]) -> None:
        if counts["failed"] > self.max_failed_share * counts["found"]:
            raise UserError(
                f"{counts['failed']} of {counts['found']} fields failed, more than "
                f"prepare.max_failed_share={self.max_failed_share:g}. The store was written; files and reasons are in "
                f"{self.store / REPORT}."
            )


def _source(found: Sequence[FieldFiles], problems: Sequence[Problem], root: Path) -> str:
    """Fingerprint of the input files: names, sizes and times of change."""
    files = [path for item in found for path in (item.blue, item.green)] + [root / item.file for item in problems]
    states = []
    for path in sorted(files):
        state = path.stat() if path.exists() else None  # a broken link is listed, too
        states.append([relative(path, root), state.st_size if state else 0, state.st_mtime_ns if state else 0])
    return fingerprint(states)


def _differing(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differing(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"{prefix}{key} ({before} there, {after} now)"


def _write_report(path: Path, problems: Iterable[Problem], notes: Iterable[Problem]) -> None:
    """CSV of `file, status (failed or dropped), reason`."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "status", "reason"))
        writer.writerows((item.file, "failed", item.reason) for item in problems)
        writer.writerows((item.file, "dropped", item.reason) for item in notes)


def _closing(info: dict[str, Any], console: Console) -> None:
    counts = info["counts"]
    splits = ", ".join(f"{name} {counts['crops_per_split'][name]}" for name in SPLITS)
    console.print(
        f"fields: {counts['found']} found, {counts['fields']} used, {counts['failed']} failed, {counts['crowded']} "
        f"dropped (crowded) · nuclei: {counts['crops']} crops ({splits})",
        highlight=False,
        soft_wrap=True,
    )
