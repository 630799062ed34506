"""The stills store: crops in a Zarr group, one manifest row per crop, and `store.json`, which makes it a whole one.

A store is a folder: `crops.zarr` (Zarr 3 group with `images` (N, H, W) uint8 or uint16 and `masks` (N, H, W) uint8),
`manifest.parquet` (one row per crop, in the arrays' order) and `store.json` (format version, settings, source, counts,
SHA-256 of the manifest).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pandas as pd

from lexy.data.crop_arrays import CropArrays, read_arrays
from lexy.data.crops import CropResult
from lexy.data.field import Field
from lexy.data.splits import SPLITS, fold_groups, split_groups
from lexy.errors import UserError
from lexy.files import sha256, write_json

if TYPE_CHECKING:
    import torch

FORMAT = 1
COLUMNS = ("crop", "field", "antibody", "cell_line", "nucleus", "row", "column", "area", "contrast", "split", "fold")


@dataclass(frozen=True)
class Stills:
    """A store in memory.

    Attributes
    ----------
    images : Tensor of uint8 or uint16, shape (N, H, W)
        Crops, each scaled to the type's full range.
    masks : Tensor of uint8, shape (N, H, W)
        1 in nuclei, else 0.
    table : DataFrame
        One row per crop, in the same order: `crop`, `field`, `antibody`, `cell_line`, `nucleus`, `row`, `column`
        (centroid in pixels of the resized field), `area` (px), `contrast` (−1 … 1 or NaN), `split`, `fold`.
    info : dict
        What `store_info` gives.
    """

    images: torch.Tensor
    masks: torch.Tensor
    table: pd.DataFrame
    info: dict[str, Any]


class StoreWriter:
    """Writes a store in a hidden sibling folder that is moved into place by `finish`, whole or not at all.

    A context manager. Memory is bounded by one field's crops and one chunk of each array, plus the manifest's rows.

    Parameters
    ----------
    path : str or Path
        The store's folder. If it exists, `finish` replaces it.

    Attributes
    ----------
    folder : Path
        Where the store is written until `finish`; further files laid there become part of it.

    Raises
    ------
    UserError
        If something that is no store lies at `path`; on entering, if another process writes the same store.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        if self.path.exists() and not _replaceable(self.path):
            raise UserError(f"{self.path}: holds other files than a stills store. Name another folder in paths.store.")
        self.folder = self.path.with_name(f".{self.path.name}.partial")
        self._previous = self.path.with_name(f".{self.path.name}.previous")
        self._rows: list[dict[str, Any]] = []
        self._fields: set[str] = set()
        self._arrays = CropArrays(self.folder / "crops.zarr")
        self._lock = -1

    def __enter__(self) -> StoreWriter:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise UserError(f"{self.path}: another process is writing this store. Wait for it to end.") from error
        for leftover in self.folder.iterdir():  # of a run that was killed
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        if self._previous.is_dir() and not self.path.exists():  # killed between the two renames of `finish`
            self._previous.rename(self.path)
        shutil.rmtree(self._previous, ignore_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, result: CropResult, field: Field) -> None:
        """Append the crops of one field.

        Parameters
        ----------
        result : CropResult
            Images of the same shape as those before; 8-bit and 16-bit fields may be mixed (the store is then 16-bit).
        field : Field
            Its name, antibody and cell line go into the manifest.

        Raises
        ------
        ValueError
            If a field of this name was added before.
        """
        if field.name in self._fields:
            raise ValueError(f"field {field.name!r} was added before")
        if not result.rows:
            return
        self._fields.add(field.name)
        where = {"field": field.name, "antibody": field.antibody, "cell_line": field.cell_line}
        self._rows += [{"crop": f"{field.name}#{row['nucleus']}", **where, **row} for row in result.rows]
        self._arrays.append(result.images, result.masks)

    def finish(
        self,
        *,
        fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
        folds: int = 5,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        source: str = "",
        counts: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Assign splits and folds by field, write manifest and `store.json`, move the store into place.

        Parameters
        ----------
        fractions, folds, seed
            As in `split_groups` and `fold_groups`.
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
            If the store has no crops or too few fields for the splits or folds.
        """
        if not self._rows:
            raise UserError(f"{self.path}: no crops, so no store was written.")
        self._arrays.flush()
        table = pd.DataFrame(self._rows)
        table["split"] = table["field"].map(split_groups(self._fields, fractions, seed))
        table["fold"] = table["field"].map(fold_groups(self._fields, folds, seed))
        manifest = self.folder / "manifest.parquet"
        table[list(COLUMNS)].to_parquet(manifest, index=False)
        per_split = {name: int((table["split"] == name).sum()) for name in SPLITS}
        info = {
            "format": FORMAT,
            "settings": dict(settings or {}),
            "source": source,
            "counts": {
                **(counts or {}), "fields": len(self._fields), "crops": len(table), "crops_per_split": per_split
            },
            "manifest_sha256": sha256(manifest),
        }  # fmt: skip
        write_json(self.folder / "store.json", info)
        if self.path.exists():
            self.path.rename(self._previous)
        self.folder.rename(self.path)
        shutil.rmtree(self._previous, ignore_errors=True)
        return info


def store_info(path: str | Path) -> dict[str, Any]:
    """Read a store's `store.json` only.

    Parameters
    ----------
    path : str or Path
        The store's folder.

    Returns
    -------
    dict
        `format`, `settings`, `source`, `counts`, `manifest_sha256`.

    Raises
    ------
    UserError
        If there is no store, or it is incomplete, unreadable or of a newer format.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no stills store there. Make it with lexy-prepare (paths.fields=DIR, paths.store={folder})."
        )
    remedy = "Make it again with lexy-prepare prepare.overwrite=true, or name another folder in paths.store."
    try:
        info = json.loads((folder / "store.json").read_text())
        version = info["format"]
        _ = info["manifest_sha256"], info["settings"], info["source"], info["counts"]
    except FileNotFoundError as error:
        raise UserError(f"{folder}: not a whole stills store (no store.json). {remedy}") from error
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise UserError(f"{folder / 'store.json'}: cannot be read ({error!r}). {remedy}") from error
    if version > FORMAT:
        raise UserError(
            f"{folder}: store of format {version}, this version of lexy reads up to {FORMAT}. "
            f"Update lexy, or: {remedy[0].lower()}{remedy[1:]}"
        )
    return info


def read_store(path: str | Path) -> Stills:
    """Read a whole store into memory.

    Parameters
    ----------
    path : str or Path
        The store's folder.

    Returns
    -------
    Stills
        Images, masks and table, in the same order.

    Raises
    ------
    UserError
        As `store_info`, and if the manifest is not the one the store was finished with or a part is missing, damaged
        or of another length.
    """
    import torch

    folder, info = Path(path), store_info(path)
    remedy = "Make the store again with lexy-prepare prepare.overwrite=true."
    manifest = folder / "manifest.parquet"
    if not manifest.is_file():
        raise UserError(f"{manifest}: missing. {remedy}")
    if sha256(manifest) != info["manifest_sha256"]:
        raise UserError(f"{manifest}: changed since the store was made (SHA-256 differs from store.json). {remedy}")
    try:
        table = pd.read_parquet(manifest)
        images, masks = read_arrays(folder / "crops.zarr")
    except Exception as error:  # zarr and its codecs raise their own kinds
        raise UserError(f"{folder / 'crops.zarr'}: cannot be read ({error!r}). {remedy}") from error
    if not len(table) == len(images) == len(masks) or images.shape != masks.shape:
        raise UserError(
            f"{folder}: {len(table)} manifest rows, images {images.shape}, masks {masks.shape} do not match. {remedy}"
        )
    return Stills(torch.from_numpy(images), torch.from_numpy(masks), table, info)


def _replaceable(path: Path) -> bool:
    """Whether this is a store, whole or not, or an empty folder: nothing of the user's own would be lost."""
    if not path.is_dir():
        return False
    names = {child.name for child in path.iterdir()}
    return not names or bool(names & {"store.json", "crops.zarr"})
