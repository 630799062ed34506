import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from store_files import fill

from lexy.data.splits import fold_groups, split_groups
from lexy.data.store import read_store, store_info
from lexy.data.store_writer import COLUMNS
from lexy.errors import UserError


def test_what_is_written_is_read(tmp_path: Path) -> None:
    results = fill(tmp_path / "store", fields=6, count=25)  # more than one chunk
    stills = read_store(tmp_path / "store")
    assert stills.images.dtype == stills.masks.dtype == torch.uint8
    np.testing.assert_array_equal(stills.images, np.concatenate([result.images for result in results]))
    np.testing.assert_array_equal(stills.masks, np.concatenate([result.masks for result in results]))
    table = stills.table
    assert tuple(table.columns) == (*COLUMNS, "split", "fold")
    assert table["crop"].is_unique
    assert table["field"].tolist() == [f"f{at}" for at in range(6) for _ in range(25)]
    assert set(table["antibody"]) == {f"500f{at}" for at in range(6)}
    assert table["contrast"].isna().all()
    names = [f"f{at}" for at in range(6)]
    assert dict(zip(table["field"], table["split"], strict=True)) == split_groups(names, (0.8, 0.1, 0.1), 4)
    assert dict(zip(table["field"], table["fold"], strict=True)) == fold_groups(names, 5, 4)
    assert stills.info == store_info(tmp_path / "store")
    assert stills.info["settings"] == {"a": 1}
    assert stills.info["counts"]["failed"] == 2
    assert sum(stills.info["counts"]["crops_per_split"].values()) == 150
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_others_can_open_it(tmp_path: Path) -> None:
    fill(tmp_path / "store")
    group = zarr.open_group(tmp_path / "store" / "crops.zarr", mode="r")
    assert group.metadata.zarr_format == 3
    assert {name: array.shape for name, array in group.arrays()} == {"images": (18, 8, 8), "masks": (18, 8, 8)}
    assert len(pd.read_parquet(tmp_path / "store" / "manifest.parquet")) == 18


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def break_json(store: Path) -> None:
    (store / "store.json").write_text('{"format": 1')


def shorten(store: Path) -> None:
    group = zarr.open_group(store / "crops.zarr", mode="r+")
    group["masks"].resize((5, 8, 8))


def change_manifest(store: Path) -> None:
    manifest = store / "manifest.parquet"
    pd.read_parquet(manifest).assign(split="train").to_parquet(manifest)


def lose_array(store: Path) -> None:
    (store / "crops.zarr" / "images" / "zarr.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda store: (store / "store.json").unlink(), "not a whole stills store"),
        (lambda store: edit(store / "store.json", format=99), "format 99"),
        (break_json, "cannot be read"),
        (lambda store: (store / "store.json").write_text("[]"), "cannot be read"),
        (change_manifest, "SHA-256"),
        (lambda store: (store / "manifest.parquet").unlink(), "missing"),
        (shorten, "do not match"),
        (lose_array, "cannot be read"),
    ],
)
def test_damage_is_noticed(tmp_path: Path, spoil, message: str) -> None:
    fill(tmp_path / "store")
    spoil(tmp_path / "store")
    with pytest.raises(UserError, match=message):
        read_store(tmp_path / "store")


def test_info_does_not_need_the_arrays_or_torch(tmp_path: Path) -> None:
    fill(tmp_path / "store")
    code = f"import sys; from lexy.data.store import store_info; store_info({str(tmp_path / 'store')!r}); " + (
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
