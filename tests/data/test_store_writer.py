import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from store_files import field_of, fill

from lexy.data.store import read_store
from lexy.data.store_writer import StoreWriter
from lexy.errors import UserError


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
        monkeypatch.setattr("lexy.data.store_writer.write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fail_at(tmp_path / "store", moment)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_no_store_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    code = (
        "import os, sys; sys.path.insert(0, 'tests'); from store_files import *\n"
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


def part(path: Path, *names: str) -> None:
    with StoreWriter(path) as writer:
        for name in names:
            writer.add(*field_of(name, 30, seed=ord(name)))
        writer.finish_part(note="kept")


def test_merged_parts_are_what_one_writer_writes(tmp_path: Path) -> None:
    for at, names in enumerate(["abc", "", "de", "f"]):
        part(tmp_path / f"part{at}", *names)
    with StoreWriter(tmp_path / "merged") as writer:
        for at in range(4):
            writer.add_part(tmp_path / f"part{at}")
        merged = writer.finish()
    with StoreWriter(tmp_path / "whole") as writer:
        for name in "abcdef":
            writer.add(*field_of(name, 30, seed=ord(name)))
        assert writer.finish() == merged
    files = {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*") if path.is_file()}
    assert files == {
        path.relative_to(tmp_path / "merged") for path in (tmp_path / "merged").rglob("*") if path.is_file()
    }
    for file in files:
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "merged" / file).read_bytes(), file


def test_a_field_is_in_one_part_only(tmp_path: Path) -> None:
    part(tmp_path / "one", "a", "b")
    part(tmp_path / "two", "b")
    with StoreWriter(tmp_path / "store") as writer:
        writer.add_part(tmp_path / "one")
        with pytest.raises(ValueError, match="'b'"):
            writer.add_part(tmp_path / "two")


@pytest.mark.parametrize("column", ["field", "antibody"])
def test_no_group_is_on_two_sides(tmp_path: Path, column: str) -> None:
    with StoreWriter(tmp_path / "store") as writer:
        for at in range(12):
            result, name, _, line = field_of(f"f{at}")
            writer.add(result, name, f"antibody{at // 2}", line)
        writer.finish(group=column)
    table = read_store(tmp_path / "store").table
    assert table.groupby(column)[["split", "fold"]].nunique().max().max() == 1
    assert set(table["split"]) == {"train", "val", "test"}


def test_a_group_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store") as writer:
        writer.add(field_of("a")[0], "a")
        with pytest.raises(UserError, match=r"prepare.group=cell_line.*1 fields \(a"):
            writer.finish(group="cell_line")
