import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from field_files import Bright, write_fields
from PIL import Image

from lexy.acquire.download.images import DownloadImages
from lexy.acquire.download.politeness import Politeness
from lexy.acquire.index.folder import IndexFolder
from lexy.acquire.labellers.classical import Classical
from lexy.acquire.phantom_fields import WritePhantomFields
from lexy.acquire.prepare import PrepareStills
from lexy.data.crops import CropRules
from lexy.data.store import read_store, store_info
from lexy.errors import UserError

RULES = CropRules(field_size=64, crop_size=32, min_area=20)


def prepare(folder: Path, **changes: Any) -> PrepareStills:
    """The whole way in `folder`: fields, work, store."""
    arguments: dict[str, Any] = {"labeller": Bright(), "rules": RULES, "shards": 3, "workers": 1, **changes}
    arguments.setdefault("download", DownloadImages(Politeness(("127.0.0.1",)), max_failed_share=1))
    places = {name: str(folder / name) for name in ("fields", "work", "store")}
    return PrepareStills(arguments.pop("index", IndexFolder()), **{**places, **arguments})


def report_of(store: Path) -> list[tuple[str, str, str, str]]:
    with (store / "prepare_report.csv").open(newline="") as file:
        return [(row["stage"], row["what"], row["status"], row["reason"]) for row in csv.DictReader(file)]


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*") if path.is_file()}


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_phantom_fields_walk_the_whole_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    WritePhantomFields(str(tmp_path / "fields"), fields=6, size=128).run()
    rules = CropRules(field_size=128, crop_size=64, min_area=50)
    prepare(tmp_path, labeller=Classical(), rules=rules, shards=2).run()
    stills = read_store(tmp_path / "store")
    assert len(stills.table) >= 12
    assert stills.table["field"].nunique() == 6
    assert set(stills.table["antibody"]) == {"90000", "90001"}
    assert stills.images.shape[1:] == (64, 64)
    assert (stills.masks.flatten(1).sum(1) >= 50).all()
    assert stills.info["settings"]["labeller"]["class"] == "lexy.acquire.labellers.classical.Classical"
    assert "6 found, 6 used, 0 failed" in capsys.readouterr().out


def test_running_again_does_nothing_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_fields(tmp_path / "fields")
    prepare(tmp_path).run()
    before = contents_of(tmp_path), state_of(tmp_path / "store"), state_of(tmp_path / "fields")
    labeller = Bright()
    prepare(tmp_path, labeller=labeller, overwrite=True).run()
    assert (contents_of(tmp_path), state_of(tmp_path / "store"), state_of(tmp_path / "fields")) == before
    assert labeller.seen == []
    assert "nothing to do" in capsys.readouterr().out


def test_stage_by_stage_and_in_other_shards_it_is_the_same_store(tmp_path: Path) -> None:
    for name in ("row", "steps"):
        write_fields(tmp_path / name / "fields", 7)
    prepare(tmp_path / "row", shards=1).run()
    for stage, shard in [("index", None), ("download", None), *((s, n) for s in ("label", "crop") for n in (2, 0, 1))]:
        prepare(tmp_path / "steps", stage=stage, shard=shard).run()
    assert not (tmp_path / "steps" / "store").exists()
    prepare(tmp_path / "steps", stage="store").run()
    assert contents_of(tmp_path / "row" / "store") == contents_of(tmp_path / "steps" / "store")
    before = state_of(tmp_path / "steps" / "store")
    prepare(tmp_path / "steps", stage="store").run()
    assert state_of(tmp_path / "steps" / "store") == before


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_fields(tmp_path / "fields")
    with pytest.raises(UserError, match=r"stage=index and stage=download"):
        prepare(tmp_path, stage="label", shard=0).run()
    for stage, shard in [("index", None), ("download", None), ("label", 0), ("label", 1), ("crop", 0)]:
        prepare(tmp_path, stage=stage, shard=shard).run()
    with pytest.raises(UserError, match=r"shard-002-of-003 is not labelled.*stage=label shard=2 shards=3"):
        prepare(tmp_path, stage="crop", shard=2).run()
    with pytest.raises(UserError, match=r"shard 1, shard 2 of 3.*stage=crop shard=1,2 shards=3"):
        prepare(tmp_path, stage="store").run()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("stage", ["all", "index", "download", "store", "report"])
def test_a_shard_is_for_labelling_and_cropping(tmp_path: Path, stage: str) -> None:
    with pytest.raises(UserError, match=f"stage={stage}.*shard=1"):
        prepare(tmp_path, stage=stage, shard=1)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"labeller": Bright(140)}, "labeller.level"),
        ({"labeller": Classical()}, "labeller.class"),
        ({"rules": CropRules(field_size=64, crop_size=32, min_area=21)}, "rules.min_area"),
        ({"seed": 1}, "seed"),
        ({"folds": 3}, "folds"),
        ({"group": "antibody", "folds": 2}, "group"),
        ({"fractions": (0.6, 0.2, 0.2)}, "fractions"),
        ({"index": IndexFolder(max_fields=5)}, "index.max_fields"),
    ],
)
def test_a_store_made_otherwise_is_not_touched(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    write_fields(tmp_path / "fields", 6)
    prepare(tmp_path).run()
    before = state_of(tmp_path / "store")
    with pytest.raises(UserError, match=rf"{key} .*prepare\.overwrite=true"):
        prepare(tmp_path, **changes).run()
    assert state_of(tmp_path / "store") == before
    prepare(tmp_path, overwrite=True, **changes).run()
    assert store_info(tmp_path / "store")["settings"] == prepare(tmp_path, **changes).settings()


@pytest.mark.parametrize("change", ["other content", "added", "removed"])
def test_changed_files_are_noticed(tmp_path: Path, change: str) -> None:
    entries = write_fields(tmp_path / "fields", 6)
    prepare(tmp_path).run()
    image = tmp_path / "fields" / entries[1].images["green"].file
    if change == "other content":
        Image.fromarray(np.asarray(Image.open(image))[::-1] // 2).save(image)
    elif change == "added":
        for channel in ("blue", "green"):
            image.with_name(f"2_A1_1_{channel}.png").write_bytes(image.read_bytes())
    else:
        image.unlink()
    with pytest.raises(UserError, match="images"):
        prepare(tmp_path).run()


def spoil(fields: Path) -> dict[str, tuple[str, str]]:
    """A field of every kind of bad input: file or field → status and a part of the reason."""
    entries = write_fields(fields / "bad", 9)
    blue, green = ([fields / "bad" / entry.images[it].file for entry in entries] for it in ("blue", "green"))
    green[0].write_bytes(b"rubbish")
    blue[1].write_bytes(blue[1].read_bytes()[:1500])
    blue[2].write_bytes(b"")
    Image.fromarray(np.full((64, 64), 5, np.uint8)).save(green[3])
    Image.open(green[4]).crop((0, 0, 32, 32)).save(green[4])
    green[5].unlink()
    blue[6].unlink()
    for path in (blue[7], green[7]):
        Image.open(path).crop((0, 0, 64, 50)).save(path)
    Image.fromarray(np.random.default_rng(0).integers(0, 90, (64, 64)).astype(np.uint8)).save(blue[8])

    def name(path: Path) -> str:
        return path.relative_to(fields).as_posix()

    return {
        name(green[0]): ("failed", "unreadable"),
        name(blue[1]): ("failed", "truncated"),
        name(blue[2]): ("failed", "empty file"),
        name(green[3]): ("failed", "constant image"),
        name(blue[4]): ("failed", "wrongly sized"),
        name(blue[5]): ("left out", "no green image"),
        name(green[6]): ("left out", "no blue image"),
        f"bad/{entries[7].field}": ("failed", "not square"),
        f"bad/{entries[8].field}": ("failed", "no nuclei"),
    }


def test_bad_input_is_listed_skipped_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_fields(tmp_path / "fields", 6)
    expected = spoil(tmp_path / "fields")
    prepare(tmp_path, max_failed_share=0.6).run()
    report = report_of(tmp_path / "store")
    assert sorted(what for _, what, _, _ in report) == sorted(expected)
    for _, what, status, reason in report:
        assert (status, expected[what][1] in reason) == (expected[what][0], True), (what, reason)
    assert "13 found, 6 used, 7 failed" in capsys.readouterr().out
    assert len(read_store(tmp_path / "store").table) == 6


def test_too_many_failures_end_with_an_error_but_the_store_is_whole(tmp_path: Path) -> None:
    write_fields(tmp_path / "fields", 6)
    spoil(tmp_path / "fields")
    for _ in range(2):  # running again does nothing, but is no success either
        with pytest.raises(UserError, match=r"7 of 13 fields failed.*prepare_report\.csv"):
            prepare(tmp_path, max_failed_share=0.5).run()
    assert len(read_store(tmp_path / "store").table) == 6
    assert len(report_of(tmp_path / "store")) == 9


class Crowd(Bright):
    def label(self, images: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray | str]:
        labels = super().label(images, names)
        for instances, name in zip(labels, names, strict=True):
            if name == "50000/1_A1_0":
                instances[5:15, 5:15] = 2  # type: ignore[index]
        return labels


def test_crowded_fields_are_dropped_not_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_fields(tmp_path / "fields", 7)
    rules = CropRules(field_size=64, crop_size=32, min_area=20, max_nuclei=1)
    prepare(tmp_path, labeller=Crowd(), rules=rules, max_failed_share=0).run()
    assert report_of(tmp_path / "store") == [("label, crop", "50000/1_A1_0", "dropped", "1 × crowded")]
    assert "7 found, 6 used, 0 failed, 1 dropped (crowded)" in capsys.readouterr().out


def test_no_crop_at_all(tmp_path: Path) -> None:
    write_fields(tmp_path / "fields", 6)
    with pytest.raises(UserError, match=r"6 of 6 fields failed.*store_prepare_report\.csv"):
        prepare(tmp_path, labeller=Bright(250)).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fields", "store_prepare_report.csv", "work"]


@pytest.mark.parametrize("folder", ["missing", "fields"])
def test_no_fields(tmp_path: Path, folder: str) -> None:
    (tmp_path / "fields").mkdir()
    with pytest.raises(UserError, match=rf"{folder}: no fields.*_blue\.<ext>"):
        prepare(tmp_path, fields=str(tmp_path / folder)).run()


def test_too_few_fields_for_the_folds(tmp_path: Path) -> None:
    write_fields(tmp_path / "fields", 4)
    with pytest.raises(UserError, match="folds=5"):
        prepare(tmp_path).run()
    assert not (tmp_path / "store").exists()


def test_no_antibody_is_on_two_sides(tmp_path: Path) -> None:
    write_fields(tmp_path / "fields", 12)
    prepare(tmp_path, group="antibody").run()
    stills = read_store(tmp_path / "store")
    assert stills.table.groupby("antibody")[["split", "fold"]].nunique().max().max() == 1
    assert stills.info["group"] == "antibody"


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    class Interrupted(Bright):
        def label(self, images: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray | str]:
            if self.seen:
                raise KeyboardInterrupt
            return super().label(images, names)

    write_fields(tmp_path / "fields", 6)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, labeller=Interrupted()).run()
    assert not (tmp_path / "store").exists()
    rest = Bright()
    prepare(tmp_path, labeller=rest).run()
    assert len(rest.seen) == 4  # the first of three shards was done
    assert len(read_store(tmp_path / "store").table) == 6


def test_a_half_written_store_is_an_error_until_overwritten(tmp_path: Path) -> None:
    write_fields(tmp_path / "fields", 6)
    prepare(tmp_path).run()
    (tmp_path / "store" / "store.json").unlink()
    with pytest.raises(UserError, match="not a whole stills store"):
        prepare(tmp_path).run()
    prepare(tmp_path, overwrite=True).run()
    assert len(read_store(tmp_path / "store").table) == 6


def test_the_counts_of_all_stages_are_kept(tmp_path: Path) -> None:
    write_fields(tmp_path / "fields", 6)
    spoil(tmp_path / "fields")
    prepare(tmp_path, max_failed_share=1).run()
    counts = json.loads((tmp_path / "store" / "store.json").read_text())["counts"]
    assert counts["index"]["kept"] == 13
    assert sum(counts["index"]["left_out"].values()) == 2
    assert (counts["download"]["failed_fields"], counts["failed"], counts["fields"]) == (5, 7, 6)


def test_fractions_are_checked_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fractions"):
        prepare(tmp_path, fractions=(0.5, 0.1, 0.1))
