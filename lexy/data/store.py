"""The stills store: crops in a Zarr group, one manifest row per crop, and `store.json`, which makes it a whole one.

A store is a folder: `crops.zarr` (Zarr 3 group with `images` (N, H, W) uint8 or uint16 and `masks` (N, H, W) uint8),
`manifest.parquet` (one row per crop, in the arrays' order) and `store.json` (format version, settings, source, counts,
SHA-256 of the manifest).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lexy.data.crop_arrays import read_arrays
from lexy.errors import UserError
from lexy.files import sha256

if TYPE_CHECKING:
    import torch

FORMAT = 1
AGAIN = "Make the store again with lexy-prepare prepare.overwrite=true."


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
            f"{folder}: no stills store there. Make it: lexy-prepare data=hpa paths.store={folder} (see its --help)."
        )
    remedy = "Make it again with lexy-prepare prepare.overwrite=true, or name another folder in paths.store."
    try:
        info: dict[str, Any] = json.loads((folder / "store.json").read_text())
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
    table = read_table(folder, info)
    try:
        images, masks = read_arrays(folder / "crops.zarr")
    except Exception as error:  # zarr and its codecs raise their own kinds
        raise UserError(f"{folder / 'crops.zarr'}: cannot be read ({error!r}). {AGAIN}") from error
    if not len(table) == len(images) == len(masks) or images.shape != masks.shape:
        raise UserError(
            f"{folder}: {len(table)} manifest rows, images {images.shape}, masks {masks.shape} do not match. {AGAIN}"
        )
    return Stills(torch.from_numpy(images), torch.from_numpy(masks), table, info)


def read_table(folder: Path, info: Mapping[str, Any], columns: list[str] | None = None) -> pd.DataFrame:
    """Read a store's manifest, all of it or some columns; `info` is what `store_info` gives.

    Raises
    ------
    UserError
        If it is missing, or not the one that the store was finished with.
    """
    manifest = folder / "manifest.parquet"
    if not manifest.is_file():
        raise UserError(f"{manifest}: missing. {AGAIN}")
    if sha256(manifest) != info["manifest_sha256"]:
        raise UserError(f"{manifest}: changed since the store was made (SHA-256 differs from store.json). {AGAIN}")
    return pd.read_parquet(manifest, columns=columns)
