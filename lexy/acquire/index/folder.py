"""Index a folder of images: its files → the manifest of the wanted fields."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt

from lexy.acquire.fields import EXPECTED, FieldFiles, Problem, find_fields
from lexy.acquire.index.field_filter import FieldFilter, antibody_names
from lexy.acquire.index.writer import IndexWriter, LeftOut
from lexy.acquire.manifest import ChannelImage, FieldEntry, parse_field_name
from lexy.errors import UserError
from lexy.files import fingerprint


class IndexFolder:
    """Index images on disk, `<antibody>/<name>_blue.<ext>` and `…_green.<ext>` in one folder.

    Parameters
    ----------
    antibodies : sequence of str or int
        Keep fields of these, the names of their folders; empty: all.
    max_fields : int or None
        Keep a random sample of this size; None: all.
    seed : int
        Seed of the sample, which depends on it and the fields' names alone.

    Notes
    -----
    A field is named after its files. `plate`, `well` and `number` are known where the name is
    `<plate>_<well>_<number>`.
    """

    def __init__(
        self,
        antibodies: Sequence[str | int] = (),
        max_fields: Annotated[int, Gt(0)] | None = None,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.antibodies, self.max_fields, self.seed = tuple(map(str, antibodies)), max_fields, seed

    def settings(self) -> dict[str, Any]:
        """Return what decides which fields there are, as plain values."""
        return {"antibodies": list(self.antibodies), "max_fields": self.max_fields, "seed": self.seed}

    def run(self, work: Path, fields: Path) -> dict[str, Any]:
        """Write `work/index.parquet` and `work/index.json`, unless they exist for the same files and settings.

        Parameters
        ----------
        work : Path
            Folder of both files. The latter lists the files that were left out, with the reason.
        fields : Path
            Folder of the images; not changed.

        Returns
        -------
        dict
            `kept` (number of fields) and `left_out` (reason → number of fields).

        Raises
        ------
        UserError
            If there is no such folder, it holds no fields, no field has the value of a filter, or `work` cannot be
            written to.
        """
        found, problems = find_fields(fields)
        if not found and not problems:
            raise UserError(f"{fields}: no fields found. Expected {EXPECTED}.")
        entries = [_entry(files, Path(fields)) for files in found]
        usable = [entry for entry in entries if _is_plain(entry)]
        odd = [entry for entry in entries if not _is_plain(entry)]
        problems += [Problem(ascii(entry.images["blue"].file), "name with odd characters") for entry in odd]

        def records() -> Iterator[FieldEntry | LeftOut]:
            yield from usable
            yield from (LeftOut(problem.reason.partition(",")[0]) for problem in problems)

        filters = [FieldFilter("antibodies", "antibody", self.antibodies, antibody_names)]
        listing = fingerprint([[image.file for image in entry.images.values()] for entry in usable])
        source = {"listing": listing, "left_out": [[problem.file, problem.reason] for problem in problems]}
        return IndexWriter(work, self.settings(), filters).write(records, source)


def _entry(files: FieldFiles, root: Path) -> FieldEntry:
    plate, well, number = parse_field_name(files.name)
    images = {"blue": files.blue, "green": files.green}
    return FieldEntry(
        field=files.name,
        images={channel: ChannelImage(path.relative_to(root).as_posix()) for channel, path in images.items()},
        antibody=files.antibody,
        plate=plate,
        well=well,
        number=number,
    )


def _is_plain(entry: FieldEntry) -> bool:
    return all(image.file.isprintable() and "\\" not in image.file for image in entry.images.values())
