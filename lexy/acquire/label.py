"""Stage: nuclear stains → label images, cached under the settings that made them."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexy.acquire.fields import COMPONENT, BadImage, read_channel
from lexy.acquire.labellers import Labeller
from lexy.acquire.manifest import FieldEntry
from lexy.acquire.shards import Shard, finished, only_one
from lexy.files import fingerprint, write_json
from lexy.io.label_images import read_labels, write_labels

BATCH = 8  # fields in memory at once


class LabelFields:
    """Labels the nuclei of fields, one TIFF of 16 bits for each (0 = background, instances from 1).

    A label image's name holds the settings' and the nuclear stain's fingerprint: with other settings, or for another
    image under the same name, there is another file. Existing files are not made again.

    Parameters
    ----------
    labeller : Labeller
        Finds the nuclei.
    work, fields : Path
        Folder of an acquisition's files and folder of its images.
    """

    def __init__(self, labeller: Labeller, work: Path, fields: Path) -> None:
        self.labeller, self.work, self.fields = labeller, work, fields

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The labeller's; not asked for before they are needed, because weights may have to be read for them."""
        return self.labeller.settings()

    @property
    def folder(self) -> Path:
        """Where label images with these settings are."""
        return self.work / "labels" / fingerprint(self.settings)[:12]

    def file(self, entry: FieldEntry) -> Path:
        """Where the label image of a field is."""
        stain = entry.images["blue"]
        return self.folder / f"{stain.file}.{stain.sha256[:12]}.tif"

    def inputs(self, entries: Sequence[FieldEntry]) -> str:
        """Fingerprint of what the label images of these fields are made from."""
        files = [self.file(entry).relative_to(self.folder).as_posix() for entry in entries]
        return fingerprint([self.settings, files])

    def done(self, shard: Shard, entries: Sequence[FieldEntry]) -> dict[str, Any] | None:
        """What `run` returned for this shard of these fields, if it did."""
        return finished(self.folder / f"{shard.name}.json", self.inputs(shard.of(entries)))

    def run(self, shard: Shard, entries: Sequence[FieldEntry], advance: Callable[[int], object]) -> dict[str, Any]:
        """Label one shard.

        Parameters
        ----------
        shard : Shard
            Which.
        entries : sequence of FieldEntry
            The whole manifest, with checksums.
        advance : callable
            Told how many fields have been done since it was told last.

        Returns
        -------
        dict
            `fields` (labelled), `nuclei`, `problems` ([field, reason] of each field without label image), `inputs`.

        Raises
        ------
        UserError
            If another process labels the same shard, or the labeller cannot work at all.
        """
        if (info := self.done(shard, entries)) is not None:
            return info
        own = shard.of(entries)
        with only_one(self.folder, shard.name):
            write_json(self.folder / "settings.json", self.settings)
            nuclei, problems = 0, []
            for start in range(0, len(own), BATCH):
                batch = own[start : start + BATCH]
                for entry, result in zip(batch, self._batch(batch), strict=True):
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

    def _batch(self, entries: Sequence[FieldEntry]) -> list[int | str]:
        """Number of nuclei of each field, or what is wrong with it."""
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
            results[at] = labels if isinstance(labels, str) else self._keep(entries[at], labels)
        return [results[at] for at in range(len(entries))]

    def _keep(self, entry: FieldEntry, labels: NDArray[np.int32]) -> int | str:
        try:
            write_labels(self.file(entry), labels)
        except ValueError as error:
            return str(error)
        return int(labels.max())
