import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import zarr

from lexy.data.crops import CropResult
from lexy.data.field import Field
from lexy.data.splits import fold_groups, split_groups
from lexy.data.store import COLUMNS, StoreWriter, read_store, store_info
from lexy.errors import UserError


def field_of(name: str, count: int = 3, dtype: type = np.uint8, seed: int = 0) -> tuple[CropResult, Field]:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, np.iinfo(dtype).max, (count, 8, 8), endpoint=True).astype(dtype)
    masks = rng.integers(0, 2, (count, 8, 8)).astype(np.uint8)
    rows = [{"nucleus": n + 1, "row": 3.5, "column": 4.5, "area": 30, "contrast": np.nan} for n in range(count)]
    image = np.zeros((8, 8), dtype)
    return CropResult(images, masks, rows, Counter()), Field(name, image, image, None, "50001", "U2OS")


def fill(path: Path, fields: int = 6, count: int = 3) -> list[CropResult]:
    added = [field_of(f"f{at}", count, seed=at) for at in range(fields)]
    with StoreWriter(path) as writer:
        for result, field in added:
            writer.add(result, field)
        writer.finish(seed=4, settings={"a": 1}, source="s", counts={"failed": 2})
    return [result for result, _ in added]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    results = fill(tmp_path / "store", fields=6, count=25)  # more than one chunk
    stills = read_store(tmp_path / "store")
    assert stills.images.dtype == stills.masks.dtype == torch.uint8
    np.testing.assert_array_equal(stills.images, np.concatenate([result.images for result in results]))
    np.testing.assert_array_equal(stills.masks, np.concatenate([result.masks for result in results]))
    table = stills.table
    assert tuple(table.columns) == COLUMNS
    assert table["crop"].is_unique
    assert table["field"].tolist() == [f"f{at}" for at in range(6) for _ in range(25)]
    assert set(table["antibody"]) == {"50001"}
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


def test_sixteen_bits_after_eight(tmp_path: Path) -> None:
    first, second = field_of("a", 70), field_of("b", 3, np.uint16)
    with StoreWriter(tmp_path / "store") as writer:
        writer.add(*first)
        writer.add(*second)
        writer.add(*field_of("c", 2))
        writer.finish(folds=2)
    images = read_store(tmp_path / "store").images
    assert images.dtype == torch.uint16
    np.testing.assert_array_equal(images[:70].numpy(), first[0].images.astype(np.uint16) * 257)
    np.testing.assert_array_equal(images[70:73].numpy(), second[0].images)
    assert {path.name for path in (tmp_path / "store" / "crops.zarr").iterdir()} == {"images", "masks", "zarr.json"}


def fail_at(path: Path, moment: str) -> None:
    with StoreWriter(path) as writer:
        if moment == "start":
            raise ZeroDivisionError
        for at in range(6):
            writer.add(*field_of(f"f{at}", 30))
        if moment == "added":
            raise ZeroDivisionError
        writer.finish()


@pytest.mark.parametrize("moment", ["start", "added", "finish"])
def test_an_exception_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    if moment == "finish":
        monkeypatch.setattr("lexy.data.store.write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fail_at(tmp_path / "store", moment)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_no_store_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    code = (
        "import os, sys; sys.path.insert(0, 'tests/data'); from test_store import *\n"
        f"writer = StoreWriter({str(tmp_path / 'store')!r}); writer.__enter__()\n"
        "writer.add(*field_of('a', 100)); os._exit(9)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 9
    assert [path.name for path in tmp_path.iterdir()] == [".store.partial"]
    with pytest.raises(UserError, match="lexy-prepare"):
        read_store(tmp_path / "store")
    fill(tmp_path / "store")
    assert len(read_store(tmp_path / "store").table) == 18
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_store_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    fill(tmp_path / "store")
    with pytest.raises(ZeroDivisionError):
        fail_at(tmp_path / "store", "added")
    assert len(read_store(tmp_path / "store").table) == 18
    fill(tmp_path / "store", fields=7)
    assert len(read_store(tmp_path / "store").table) == 21
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_killed_between_the_renames_the_old_store_comes_back(tmp_path: Path) -> None:
    fill(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / ".store.previous")
    with StoreWriter(tmp_path / "store"):
        pass
    assert len(read_store(tmp_path / "store").table) == 18


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store"), pytest.raises(UserError, match="another process"):
        StoreWriter(tmp_path / "store").__enter__()


def test_other_folders_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UserError, match="holds other files"):
        StoreWriter(tmp_path)


def test_no_crops_no_store(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store") as writer:
        writer.add(*field_of("a", 0))
        with pytest.raises(UserError, match="no crops"):
            writer.finish()
    assert not (tmp_path / "store").exists()


def test_a_field_is_added_once(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store") as writer:
        writer.add(*field_of("a"))
        with pytest.raises(ValueError, match="'a'"):
            writer.add(*field_of("a"))


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
