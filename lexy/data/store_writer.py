"""Writing a stills store, in one go or as parts that are merged: whole or not at all, in bounded memory."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from lexy.data.crop_arrays import CropArrays
from lexy.data.crops import CropResult
from lexy.data.splits import SPLITS, Group, fold_groups, split_groups
from lexy.data.store import FORMAT
from lexy.errors import UserError
from lexy.files import replacing_folder, sha256, write_json

WHERE = ("field", "antibody", "cell_line")
COLUMNS = ("crop", *WHERE, "nucleus", "row", "column", "area", "contrast")


class StoreWriter:
    """Writes a store, or a part of one, in a hidden sibling folder that is moved into place if it is finished.

    A context manager. Memory is bounded by one shard of each array, plus the manifest's rows (about 0.1 kB per crop
    of merged parts).

    Parameters
    ----------
    path : str or Path
        The folder of the store or part. If it exists, finishing replaces it.

    Attributes
    ----------
    folder : Path
        Where the store is written until it is finished; further files laid there become part of it.

    Raises
    ------
    UserError
        If something that is no store lies at `path`; on entering, if another process writes the same store.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        if self.path.exists() and not _replaceable(self.path):
            raise UserError(f"{self.path}: holds other files than a stills store. Name another folder in paths.store.")
        self._swap = ExitStack()
        self._rows: list[dict[str, Any]] = []
        self._parts: list[pd.DataFrame] = []
        self._fields: set[str] = set()

    def __enter__(self) -> "StoreWriter":
        busy = f"{self.path}: another process is writing this store. Wait for it to end."
        self.folder = self._swap.enter_context(replacing_folder(self.path, last=["store.json", "part.json"], busy=busy))
        self._arrays = CropArrays(self.folder / "crops.zarr")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._swap.__exit__(kind, error, trace)

    def __len__(self) -> int:
        return len(self._rows) + sum(map(len, self._parts))

    def add(self, result: CropResult, field: str, antibody: str = "", cell_line: str = "") -> None:
        """Append the crops of one field.

        Parameters
        ----------
        result : CropResult
            Images of the same shape as those before; 8-bit and 16-bit fields may be mixed (the store is then 16-bit).
        field, antibody, cell_line : str
            For the manifest.

        Raises
        ------
        ValueError
            If a field of this name was added before.
        """
        if not result.rows:
            return
        self._note([field])
        where = {"field": field, "antibody": antibody, "cell_line": cell_line}
        self._rows += [{"crop": f"{field}#{row['nucleus']}", **where, **row} for row in result.rows]
        self._arrays.append(result.images, result.masks)

    def add_part(self, path: Path) -> None:
        """Append a part that another writer finished with `finish_part`.

        Parameters
        ----------
        path : Path
            The part's folder.

        Raises
        ------
        ValueError
            If one of its fields was added before.
        """
        assert not self._rows, "a writer takes fields or parts, not both"
        table = pd.read_parquet(path / "manifest.parquet")
        if table.empty:
            return
        self._note(table["field"].unique())
        self._parts.append(table)
        self._arrays.append_from(path / "crops.zarr")

    def finish_part(self, **info: Any) -> dict[str, Any]:
        """Write manifest and `part.json`, which holds `info` (plain values)."""
        self._arrays.flush()
        self._write_manifest(self._table())
        write_json(self.folder / "part.json", info)
        return info

    def finish(
        self,
        *,
        fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
        folds: int = 5,
        group: Group = "field",
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        source: str = "",
        counts: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Assign splits and folds by group, write manifest and `store.json`.

        Parameters
        ----------
        fractions, folds, seed
            As in `split_groups` and `fold_groups`.
        group : str
            Column of the manifest that splits and folds go by: what shares it is never on two sides.
        settings, counts : mapping
            Plain values, kept in `store.json`; `counts` gets `crops`, `fields` and `crops_per_split` added.
        source : str
            Fingerprint of what the store was made from.

        Returns
        -------
        dict
            The content of `store.json`.

        Raises
        ------
        UserError
            If the store has no crops, a crop's group is not known, or there are too few groups for splits or folds.
        """
        if not len(self):
            raise UserError(f"{self.path}: no crops, so no store was written.")
        self._arrays.flush()
        table = self._table()
        if unknown := sorted(set(table.loc[table[group] == "", "field"])):
            raise UserError(
                f"prepare.group={group}: not known of {len(unknown)} fields ({', '.join(unknown[:3])}, …). Choose "
                "prepare.group=field, or an index that knows it."
            )
        groups = set(table[group])
        table["split"] = table[group].map(split_groups(groups, fractions, seed))
        table["fold"] = table[group].map(fold_groups(groups, folds, seed))
        info = {
            "format": FORMAT,
            "group": group,
            "settings": dict(settings or {}),
            "source": source,
            "counts": {
                **(counts or {}),
                "fields": len(self._fields),
                "crops": len(table),
                "crops_per_split": {name: int((table["split"] == name).sum()) for name in SPLITS},
            },
            "manifest_sha256": sha256(self._write_manifest(table)),
        }
        write_json(self.folder / "store.json", info)
        return info

    def _note(self, fields: Any) -> None:
        if again := self._fields.intersection(fields):
            raise ValueError(f"field {min(again)!r} was added before")
        self._fields.update(fields)

    def _table(self) -> pd.DataFrame:
        tables = [*self._parts, *([pd.DataFrame(self._rows, columns=list(COLUMNS))] if self._rows else [])]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))

    def _write_manifest(self, table: pd.DataFrame) -> Path:
        path = self.folder / "manifest.parquet"
        table.to_parquet(path, index=False)
        return path


def _replaceable(path: Path) -> bool:
    """Return whether this is a store, whole or not, or an empty folder: none of the user's files would be lost."""
    if not path.is_dir():
        return False
    names = {child.name for child in path.iterdir()}
    return not names or bool(names & {"store.json", "part.json", "crops.zarr"})
