import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lexy.acquire.labellers import Classical
from lexy.acquire.phantom_fields import WritePhantomFields
from lexy.acquire.prepare import PrepareStills
from lexy.data.crops import CropRules
from lexy.data.store import read_store, store_info
from lexy.errors import UserError


class Threshold:
    """A quick labeller: one nucleus in the middle, unless the image is dark there."""

    def __init__(self, level: int = 100) -> None:
        self.level = level

    def label(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        labels = [np.zeros(image.shape, np.int32) for image in images]
        for image, nuclei in zip(images, labels, strict=True):
            if image[32, 32] > self.level:
                nuclei[25:40, 25:40] = 1
        return labels


def write(folder: Path, count: int = 6) -> Path:
    rng = np.random.default_rng(0)
    for at in range(count):
        place = folder / f"5000{at}"
        place.mkdir(parents=True)
        image = rng.integers(0, 90, (64, 64)).astype(np.uint8)
        Image.fromarray(image).save(place / "1_A1_1_green.png")
        image[20:45, 20:45] = 200
        Image.fromarray(image).save(place / "1_A1_1_blue.png")
    return folder


def prepare(fields: Path, store: Path, **changes: Any) -> PrepareStills:
    rules = CropRules(field_size=64, crop_size=32, min_area=20)
    arguments: dict[str, Any] = {"labeller": Threshold(), "rules": rules, **changes}
    return PrepareStills(str(fields), str(store), **arguments)


def report_of(store: Path) -> list[tuple[str, str, str]]:
    with (store / "prepare_report.csv").open(newline="") as file:
        return [(row["file"], row["status"], row["reason"]) for row in csv.DictReader(file)]


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in [folder, *folder.rglob("*")]}


def test_phantom_fields_walk_the_whole_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    WritePhantomFields(str(tmp_path / "fields"), fields=6, size=128).run()
    rules = CropRules(field_size=128, crop_size=64, min_area=50)
    PrepareStills(str(tmp_path / "fields"), str(tmp_path / "store"), Classical(), rules).run()
    stills = read_store(tmp_path / "store")
    assert len(stills.table) >= 12
    assert stills.table["field"].nunique() == 6
    assert set(stills.table["antibody"]) == {"90000", "90001"}
    assert stills.images.shape[1:] == (64, 64)
    assert (stills.masks.flatten(1).sum(1) >= 50).all()
    assert stills.info["settings"]["labeller"]["class"] == "lexy.acquire.labellers.Classical"
    assert "6 found, 6 used, 0 failed" in capsys.readouterr().out


def test_running_again_does_nothing_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields, store = write(tmp_path / "fields"), tmp_path / "store"
    prepare(fields, store).run()
    before = state_of(store)
    prepare(fields, store, overwrite=True).run()
    assert state_of(store) == before
    assert "nothing to do" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fields", "store"]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"labeller": Threshold(99)}, "labeller.level"),
        ({"labeller": Classical()}, "labeller.class"),
        ({"rules": CropRules(field_size=64, crop_size=32, min_area=21)}, "rules.min_area"),
        ({"seed": 1}, "seed"),
        ({"folds": 3}, "folds"),
        ({"fractions": (0.6, 0.2, 0.2)}, "fractions"),
    ],
)
def test_a_store_made_otherwise_is_not_touched(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    fields, store = write(tmp_path / "fields"), tmp_path / "store"
    prepare(fields, store).run()
    before = state_of(store)
    with pytest.raises(UserError, match=rf"{key} .*prepare\.overwrite=true"):
        prepare(fields, store, **changes).run()
    assert state_of(store) == before
    prepare(fields, store, overwrite=True, **changes).run()
    assert store_info(store)["settings"] == prepare(fields, store, **changes).settings()


@pytest.mark.parametrize("change", ["touched", "added", "removed"])
def test_changed_files_are_noticed(tmp_path: Path, change: str) -> None:
    fields, store = write(tmp_path / "fields"), tmp_path / "store"
    prepare(fields, store, max_failed_share=1).run()
    image = fields / "50001" / "1_A1_1_green.png"
    if change == "touched":
        os.utime(image, (1, 1))
    elif change == "added":
        image.with_name("2_A1_1_blue.png").write_bytes(image.read_bytes())
    else:
        image.unlink()
    with pytest.raises(UserError, match=r"files in paths\.fields"):
        prepare(fields, store, max_failed_share=1).run()


def spoil(fields: Path) -> dict[str, str]:
    """One field of every kind of bad input; gives file and a part of the reason."""
    write(fields / "bad", 9)
    folders = [fields / "bad" / f"5000{at}" for at in range(9)]
    blue, green = "1_A1_1_blue.png", "1_A1_1_green.png"
    (folders[0] / green).write_bytes(b"rubbish")
    (folders[1] / blue).write_bytes((folders[1] / blue).read_bytes()[:1500])
    (folders[2] / blue).write_bytes(b"")
    Image.fromarray(np.full((64, 64), 5, np.uint8)).save(folders[3] / green)
    Image.open(folders[4] / green).crop((0, 0, 32, 32)).save(folders[4] / green)
    (folders[5] / green).unlink()
    (folders[6] / blue).unlink()
    for name in (blue, green):
        Image.open(folders[7] / name).crop((0, 0, 64, 50)).save(folders[7] / name)
    Image.fromarray(np.random.default_rng(0).integers(0, 90, (64, 64)).astype(np.uint8)).save(folders[8] / blue)
    return {
        f"bad/50000/{green}": "unreadable",
        f"bad/50001/{blue}": "truncated",
        f"bad/50002/{blue}": "empty file",
        f"bad/50003/{green}": "constant image",
        f"bad/50004/{blue}": "wrongly sized",
        f"bad/50005/{blue}": "no green image",
        f"bad/50006/{green}": "no blue image",
        f"bad/50007/{blue}": "not square",
        f"bad/50008/{blue}": "labels without nuclei",
    }


def test_bad_input_is_listed_skipped_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields, store = write(tmp_path / "fields"), tmp_path / "store"
    expected = spoil(fields)
    prepare(fields, store, max_failed_share=0.6).run()
    report = report_of(store)
    assert sorted(file for file, status, _ in report if status == "failed") == sorted(expected)
    for file, _, reason in report:
        assert expected[file] in reason
    assert "15 found, 6 used, 9 failed" in capsys.readouterr().out
    assert len(read_store(store).table) == 6


def test_too_many_failures_end_with_an_error_but_the_store_is_whole(tmp_path: Path) -> None:
    fields, store = write(tmp_path / "fields"), tmp_path / "store"
    spoil(fields)
    for _ in range(2):  # running again does nothing, but is no success either
        with pytest.raises(UserError, match=r"9 of 15 fields failed.*prepare_report\.csv"):
            prepare(fields, store, max_failed_share=0.59).run()
    assert len(read_store(store).table) == 6
    assert len(report_of(store)) == 9


def test_crowded_fields_are_dropped_not_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Crowd(Threshold):
        def label(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
            labels = super().label(images)
            self.level += 1
            if self.level == 101:
                labels[0][5:15, 5:15] = 2
            return labels

    fields, store = write(tmp_path / "fields", 7), tmp_path / "store"
    rules = CropRules(field_size=64, crop_size=32, min_area=20, max_nuclei=1)
    prepare(fields, store, labeller=Crowd(), rules=rules, max_failed_share=0).run()
    assert report_of(store) == [("50000/1_A1_1_blue.png", "dropped", "1 × crowded")]
    assert "7 found, 6 used, 0 failed, 1 dropped (crowded)" in capsys.readouterr().out


def test_no_crop_at_all(tmp_path: Path) -> None:
    fields = write(tmp_path / "fields")
    with pytest.raises(UserError, match=r"6 × labels without nuclei.*store_prepare_report\.csv"):
        prepare(fields, tmp_path / "store", labeller=Threshold(250)).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fields", "store_prepare_report.csv"]


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_no_fields(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=rf"{folder}: no fields of view.*_blue\.<ext>"):
        prepare(tmp_path / folder, tmp_path / "store").run()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_too_few_fields_for_the_folds(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="folds=5"):
        prepare(write(tmp_path / "fields", 4), tmp_path / "store").run()
    assert [path.name for path in tmp_path.iterdir()] == ["fields"]


@pytest.mark.parametrize("call", [1, 2])
def test_an_interrupted_run_leaves_nothing_or_the_old_store(tmp_path: Path, call: int) -> None:
    class Interrupted(Threshold):
        def label(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
            self.level += 1
            if self.level == 100 + call:
                raise KeyboardInterrupt
            return super().label(images)

    fields, store = write(tmp_path / "fields"), tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        prepare(fields, store, labeller=Interrupted()).run()
    assert [path.name for path in tmp_path.iterdir()] == ["fields"]
    prepare(fields, store).run()
    before = state_of(store)
    with pytest.raises(KeyboardInterrupt):
        prepare(fields, store, labeller=Interrupted(), overwrite=True).run()
    assert state_of(store) == before


def test_a_half_written_store_is_an_error_until_overwritten(tmp_path: Path) -> None:
    fields, store = write(tmp_path / "fields"), tmp_path / "store"
    prepare(fields, store).run()
    (store / "store.json").unlink()
    with pytest.raises(UserError, match="not a whole stills store"):
        prepare(fields, store).run()
    prepare(fields, store, overwrite=True).run()
    assert len(read_store(store).table) == 6


def test_fractions_are_checked_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fractions"):
        prepare(tmp_path, tmp_path / "store", fractions=(0.5, 0.1, 0.1))
