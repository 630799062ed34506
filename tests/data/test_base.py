import re
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from cli_runs import REPOSITORY, run_forked

from lexy.checkpoint import trained_on
from lexy.data.base import ClipData, checked
from lexy.data.videos.preparation import ModernPreparation
from lexy.data.videos.recording import Recording
from lexy.errors import UserError
from lexy.images.intensity import VideoPercentiles

NAMES = [f"{dish}_{cell}" for dish in ("d1", "d2", "d3", "d4") for cell in ("a", "b")]
# What docs/videos.md tells users to write: nothing else is needed.
SECTION = (REPOSITORY / "docs" / "videos.md").read_text().split("## A dataset of your own")[1].split("\n## ")[0]
CODE, CONFIG = (re.search(rf"```{kind}\n(.*?)```", SECTION, re.DOTALL)[1] for kind in ("python", "yaml"))
WRITTEN: dict = {}
exec(CODE, WRITTEN)
FolderVideos = WRITTEN["FolderVideos"]
SMALL = ["data.preparation.size=32", "backbone.width=4", "backbone.depth=2", "trainer.max_epochs=1"]
SMALL += ["data.clips_per_epoch=4", "data.batch_size=2", "optimizer.lr=1e-2", "trainer.enable_progress_bar=false"]


def video(name, frames=5):
    rows, columns = np.ogrid[:40, :40]
    noise = np.random.default_rng(NAMES.index(name)).integers(0, 60, (frames, 40, 40))
    masks = np.stack([np.hypot(rows - 16 - at, columns - 20) < 7 for at in range(frames)])
    return (300 + 700 * masks + noise).astype(np.uint16), masks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two cells from each of four dishes, of unequal length, and a config folder of the user's own."""
    path = tmp_path_factory.mktemp("videos")
    for at, name in enumerate(NAMES):
        frames, masks = video(name, 4 + at % 3)
        tifffile.imwrite(path / f"{name}_video.tif", frames, photometric="minisblack")
        tifffile.imwrite(path / f"{name}_mask.tif", masks.astype(np.uint8), photometric="minisblack")
    config = path / "mine" / "data"
    config.mkdir(parents=True)
    (config / "folder.yaml").write_text(CONFIG)
    (path / "mine" / "mydata.py").write_text(CODE)
    (config / "wrong.yaml").write_text("_target_: wrong_dataset.Clips\nfolder: ${paths.videos}\n")
    (path / "mine" / "wrong_dataset.py").write_text("class Clips:\n    def __init__(self, folder):\n        pass\n")
    return path


def lexy(folder, work, command, *arguments):
    mine = folder / "mine"
    options = ["--config-dir", str(mine), f"paths.videos={folder}", f"paths.outputs={work / 'out'}", *arguments]
    return run_forked(work, command, *options, PYTHONPATH=str(mine))


def test_a_folder_of_the_users_own_is_trained_and_tested_by_group(folder, tmp_path):
    sequence = ["model=tracknet", "training=unrolled", "start=truth"]
    done = lexy(folder, tmp_path, "train", "data=folder", "data.fold=1", *sequence, *SMALL)
    assert done.returncode == 0, done.stderr + done.stdout
    (run,) = (tmp_path / "out" / "runs").iterdir()
    table = pd.read_parquet(run / "test_frames.parquet")
    assert set(zip(table["video"], table["group"], strict=True)) == {("d2_a", "d2"), ("d2_b", "d2")}
    assert set(table["data"]) == {"folder"}
    assert table["hd95_um"].notna().any()
    (seen,) = trained_on(run / "best.ckpt")
    assert seen["groups"] == ["d1", "d3", "d4"]
    assert seen["intensity"] == {"kind": "VideoPercentiles", "low": 0.5, "high": 99.8}
    (again,) = [line for line in done.stdout.splitlines() if line.strip().startswith("lexy-evaluate")]
    tested = lexy(folder, tmp_path, "evaluate", *again.split()[1:], "paths.videos=" + str(folder))
    assert tested.returncode == 0, tested.stderr + tested.stdout
    other = lexy(folder, tmp_path, "evaluate", f"checkpoint={run / 'best.ckpt'}", "data=folder", "data.fold=2")
    assert "no test" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["data=wrong"],
            "data: wrong_dataset.Clips is no dataset of lexy. Derive it from lexy.data.videos.base.",
        ),
        (["data=folder", "+data.batch=3"], "data.batch is not a setting of FolderVideos"),
        (["data=folder", "data.batch_size=0"], "data.batch_size=0"),
        (["data=folder", "data.fold=4"], "data.fold=4: there are 4 folds, numbered from 0 to 3"),
    ],
)
def test_mistakes_are_told_before_a_folder_is_made(folder, tmp_path, arguments, message):
    done = lexy(folder, tmp_path, "train", *([] if "data=wrong" in arguments else SMALL), *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def dataset(folder, **changes):
    options = {"preparation": ModernPreparation(size=16), "batch_size": 2, "clips_per_epoch": 6} | changes
    return FolderVideos(str(folder), **options)


def test_groups_are_never_on_two_sides(folder):
    for fold in (None, 0, 1, 2, 3):
        data = dataset(folder, fold=fold)
        groups = [data.groups(split) for split in ("train", "val", "test")]
        assert all(groups)
        assert sum(map(len, groups)) == len(set.union(*groups)) == 4
        rows = [data.rows(split) for split in ("train", "val", "test")]
        assert sorted(chain.from_iterable(rows)) == list(range(8))
    assert dataset(folder, folds=3, fold=0).groups("test").isdisjoint(dataset(folder, folds=3, fold=1).groups("test"))


def test_clips_of_unequal_length_are_padded_and_windows_are_not(folder):
    data = dataset(folder, fold=0, batch_size=8)
    (clip,) = data.loader("train")
    lengths = [4 + NAMES.index(name) % 3 for name in clip["video"]]
    assert clip["labelled"].sum(dim=1).tolist() == lengths
    assert clip["frames"].shape[1] == max(lengths) > min(lengths)
    for batch in data.train_dataloader():
        assert batch["labelled"].all()
        assert batch["frames"].shape[1] == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masks": np.zeros((5, 40, 40), np.uint8)}, "uint8 do not fit"),
        ({"masks": np.zeros((4, 40, 40), bool)}, r"masks \(4, 40, 40\)"),
        ({"labelled": np.ones(4, bool)}, "each of 5 frames"),
        ({"numbers": (0, 1)}, "each of 5 frames"),
        ({"numbers": (0, 1, 3, 2, 4)}, "do not ascend"),
        ({"frames": np.full((5, 40, 40), np.nan)}, "not numbers"),
        ({"name": "d1_a"}, "several videos are named 'd1_a'"),
    ],
)
def test_recordings_that_do_not_fit_are_named(folder, change, message):
    class Wrong(FolderVideos):
        def read(self):
            parts = {name: (*video(name), np.ones(5, bool), tuple(range(5))) for name in NAMES[:3]}
            keys = ("frames", "masks", "labelled", "numbers")
            made = [{"name": name, **dict(zip(keys, arrays, strict=True))} for name, arrays in parts.items()]
            return [Recording(**each) for each in (*made[:2], made[2] | change)]

    data = Wrong(str(folder), preparation=ModernPreparation(size=16))
    with pytest.raises(UserError, match=message):
        data.rows("train")


class Points(ClipData):
    """The least that a dataset needs: five clips of one value each."""

    name = "points"
    intensity = VideoPercentiles(0, 100)

    def fingerprint(self):
        return "five"

    def row_groups(self):
        return ["a", "a", "b", "c", "c"]

    def row_splits(self):
        return ["train", "train", "train", "val", "val"]

    def sizes(self):
        return {"nucleus_diameter": None, "crop_size": [1, 1], "pixel_size": None}

    def clip(self, numbers):
        return {"frames": torch.tensor(numbers).view(-1, 1, 1, 1, 1).float(), "video": [str(n) for n in numbers]}


def test_the_least_that_a_dataset_needs():
    data = checked(Points(batch_size=2, fold=None, seed=0, shuffle=True))
    assert (data.embedded, data.sequences, data.contents("val"), data.without_first_mask()) == (False, True, set(), [])
    assert data.groups("train") == {"a", "b"}
    assert data.describe()["groups"] == ["a", "b", "c"]
    with pytest.raises(UserError, match=r"data=points: the test split is empty \(3 groups in all\)"):
        data.rows("test")
    assert [clip["video"] for clip in data.loader("val")] == [["3", "4"]]
    loader, epochs = data.train_dataloader(), []
    for epoch in range(4):
        loader.sampler.set_epoch(epoch)
        epochs.append(tuple(chain.from_iterable(clip["video"] for clip in loader)))
    assert {tuple(sorted(epoch)) for epoch in epochs} == {("0", "1", "2")}
    assert len(set(epochs)) > 1
    still = Points(batch_size=2, fold=None, seed=0, shuffle=False).train_dataloader()
    assert [clip["video"] for clip in still] == [["0", "1"], ["2"]]
    moved = data.transfer_batch_to_device(next(iter(data.loader("val"))), torch.device("meta"), 0)
    assert (moved["frames"].device.type, moved["video"]) == ("meta", ["3", "4"])


def test_what_is_no_dataset_is_refused():
    with pytest.raises(UserError, match=r"builtins\.dict is no dataset of lexy"):
        checked({"folder": "here"})
