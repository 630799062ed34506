"""Label stage: nuclear stains → label images, cached by the settings that made them."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexy.acquire.fields import COMPONENT, BadImage, read_channel
from lexy.acquire.labellers import Labeller
from lexy.acquire.manifest import FieldEntry
from lexy.acquire.shards import Shard, exclusive, finished_record
from lexy.files import fingerprint, write_json
from lexy.io.label_images import read_labels, write_labels

BATCH = 8  # fields in memory at the same time


class LabelFields:
    """Label the nuclei of fields: write one 16-bit TIFF for each field (0 = background, instances from 1).

    The path of a label image holds the fingerprints of the settings and of the nuclear stain: other settings, or
    another image of the same name, give another file. Existing files are not made again.

    Parameters
    ----------
    labeller : Labeller
        Segments the nuclei.
    work, fields : Path
        Folder of intermediate files and folder of the images.
    """

    def __init__(self, labeller: Labeller, work: Path, fields: Path) -> None:
        self.labeller, self.work, self.fields = labeller, work, fields

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Settings of the labeller; determined when first needed, because weights may have to be read for them."""
        return self.labeller.settings()

    @property
    def folder(self) -> Path:
        """Folder of the label images with these settings."""
        return self.work / "labels" / fingerprint(self.settings)[:12]

    def file(self, entry: FieldEntry) -> Path:
        """Return the path of a field's label image."""
        stain = entry.images["blue"]
        return self.folder / f"{stain.file}.{stain.sha256[:12]}.tif"

    def inputs(self, entries: Sequence[FieldEntry]) -> str:
        """Return the fingerprint of everything that decides the label images of these fields."""
        files = [self.file(entry).relative_to(self.folder).as_posix() for entry in entries]
        return fingerprint([self.settings, files])

    def finished(self, shard: Shard, entries: Sequence[FieldEntry]) -> dict[str, Any] | None:
        """Return the result of `run` for this shard if it is finished and current, else None."""
        return finished_record(self.folder / f"{shard.name}.json", self.inputs(shard.of(entries)))

    def run(self, shard: Shard, entries: Sequence[FieldEntry], advance: Callable[[int], object]) -> dict[str, Any]:
        """Label one shard.

        Parameters
        ----------
        shard : Shard
            The part of the manifest to label.
        entries : sequence of FieldEntry
            The whole manifest, with checksums.
        advance : callable
            Called with the number of fields done since the last call.

        Returns
        -------
        dict
            `fields` (labelled), `nuclei`, `problems` ([field, reason] of each field without label image), `inputs`.

        Raises
        ------
        UserError
            If another process labels the same shard, or the labeller cannot run.
        """
        if (info := self.finished(shard, entries)) is not None:
            return info
        own = shard.of(entries)
        with exclusive(self.folder, shard.name):
            write_json(self.folder / "settings.json", self.settings)
            nuclei, problems = 0, []
            for start in range(0, len(own), BATCH):
                batch = own[start : start + BATCH]
                for entry, result in zip(batch, self._label_batch(batch), strict=True):
                    if isinstance(result, str):
                        problems.append([entry.field, result])
                    else:
                        nuclei += result
                advance(len(batch))
            info = {
                "fields": len(own) - len(problems),
                "nuclei": nuclei,
                "problems": problems,
                "inputs": self.inputs(own),
            }
            write_json(self.folder / f"{shard.name}.json", info)
        return info

    def _label_batch(self, entries: Sequence[FieldEntry]) -> list[int | str]:
        """Return the number of nuclei of each field, or the reason why it has no label image."""
        results: dict[int, int | str] = {}
        stains: dict[int, NDArray[np.integer]] = {}
        for at, entry in enumerate(entries):
            if (path := self.file(entry)).is_file():
                results[at] = int(read_labels(path).max())
                continue
            try:
                stains[at] = read_channel(self.fields / entry.images["blue"].file, COMPONENT["blue"])
            except BadImage as bad:
                results[at] = str(bad)
        labelled = self.labeller.label(list(stains.values()), [entries[at].field for at in stains]) if stains else []
        for at, labels in zip(stains, labelled, strict=True):
            results[at] = labels if isinstance(labels, str) else self._save(entries[at], labels)
        return [results[at] for at in range(len(entries))]

    def _save(self, entry: FieldEntry, labels: NDArray[np.int32]) -> int | str:
        try:
            write_labels(self.file(entry), labels)
        except ValueError as error:
            return str(error)
        return int(labels.max())
