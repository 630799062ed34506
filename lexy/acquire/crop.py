"""Crop stage: fields and their label images → crops, one part of the store for each shard."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from lexy.acquire.crop_task import CropTask, crop_files
from lexy.acquire.label import LabelFields
from lexy.acquire.manifest import FieldEntry
from lexy.acquire.process_pool import map_in_processes
from lexy.acquire.shards import Shard, finished_record
from lexy.data.crops import CropRules
from lexy.errors import UserError
from lexy.files import fingerprint


class CropFields:
    """Cut labelled fields into crops.

    Parameters
    ----------
    rules : CropRules
        Sizes and filters of crops.
    label : LabelFields
        The label stage, which has the label images.
    work, fields : Path
        Folder of intermediate files and folder of the images.
    workers : int
        Number of processes; with 1 this process does everything.
    """

    def __init__(self, rules: CropRules, label: LabelFields, work: Path, fields: Path, workers: int) -> None:
        self.rules, self.label, self.work, self.fields, self.workers = rules, label, work, fields, workers

    def part(self, shard: Shard) -> Path:
        """Return the folder of the shard's part of the store."""
        return self.work / "crops" / fingerprint([self.label.settings, asdict(self.rules)])[:12] / shard.name

    def inputs(self, entries: Sequence[FieldEntry]) -> str:
        """Return the fingerprint of everything that decides the crops of these fields."""
        images = [[entry.field, entry.cell_line, entry.images["green"].sha256] for entry in entries]
        return fingerprint([self.label.inputs(entries), asdict(self.rules), images])

    def finished(self, shard: Shard, entries: Sequence[FieldEntry]) -> dict[str, Any] | None:
        """Return the result of `run` for this shard if it is finished and current, else None."""
        return finished_record(self.part(shard) / "part.json", self.inputs(shard.of(entries)))

    def run(self, shard: Shard, entries: Sequence[FieldEntry], advance: Callable[[int], object]) -> dict[str, Any]:
        """Crop one shard.

        Parameters
        ----------
        shard, entries, advance
            As of `LabelFields.run`.

        Returns
        -------
        dict
            `fields` (with crops), `crops`, `dropped` (reason → number), `problems` ([field, reason] of each field that
            failed, in labelling or here), `notes` ([field, reason] of what was dropped), `inputs`.

        Raises
        ------
        UserError
            If the shard is not labelled, or another process crops it.
        """
        from lexy.data.store_writer import StoreWriter  # imports pandas and zarr, which the index stage does not need

        if (info := self.finished(shard, entries)) is not None:
            return info
        labelled = self.label.finished(shard, entries)
        if labelled is None:
            raise UserError(
                f"{self.label.folder}: {shard.name} is not labelled with these settings. Run it first: "
                f"stage=label shard={shard.index} shards={shard.count}."
            )
        failed = {field for field, _ in labelled["problems"]}
        own = shard.of(entries)
        usable = [entry for entry in own if entry.field not in failed]
        tasks = [CropTask(self.fields / entry.images["green"].file, self.label.file(entry)) for entry in usable]
        problems: list[list[str]] = list(labelled["problems"])
        notes: list[list[str]] = []
        dropped: Counter[str] = Counter()
        with StoreWriter(self.part(shard)) as writer:
            results = map_in_processes(tasks, partial(crop_files, self.rules), self.workers)
            for entry, result in zip(usable, results, strict=True):
                advance(1)
                if isinstance(result, str):
                    problems.append([entry.field, result])
                    continue
                dropped += result.dropped
                if result.dropped["no nuclei"]:
                    problems.append([entry.field, "no nuclei found"])
                    continue
                notes += [[entry.field, f"{count} × {reason}"] for reason, count in result.dropped.items()]
                writer.add(result, entry.field, entry.antibody, entry.cell_line)
            return writer.finish_part(
                crops=len(writer),
                dropped=dict(dropped),
                problems=problems,
                notes=notes,
                inputs=self.inputs(own),
            )
