import math
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from cli_runs import run_forked

from lexy.data.lexy import LexyVideos
from lexy.data.videos.preparation import ModernPreparation
from lexy.data.videos.recording import Recording
from lexy.errors import UserError
from lexy.evaluation.table import frame_rows
from lexy.images.nc_ratio import contrast

CELLS = [f"C{number:02}" for number in range(1, 6)]
FIXED = ("frames", "masks", "labelled", "frame", "contrast")


def recording(name, frames=6, pixel_size=0.5):
    """A disc that moves a pixel a frame and fades; frames are numbered from 1."""
    rows, columns = np.ogrid[:32, :32]
    noise = np.random.default_rng(CELLS.index(name)).integers(0, 60, (frames, 32, 32))
    masks = np.stack([np.hypot(rows - 12 - at, columns - 16) < 6 for at in range(frames)])
    images = (300 + (900 - 200 * np.arange(frames))[:, None, None] * masks + noise).astype(np.uint16)
    return Recording(name, images, masks, np.ones(frames, bool), tuple(range(1, frames + 1)), pixel_size, 270.0)


class Given:
    """A layout whose videos are made already."""

    def __init__(self, videos):
        self.videos = videos

    def recordings(self, folder):
        return self.videos


def videos(recordings=None, **changes):
    made = [recording(name) for name in CELLS] if recordings is None else recordings
    options = {"preparation": ModernPreparation(size=16), "batch_size": 2, "clips_per_epoch": 5} | changes
    return LexyVideos("folder", Given(made), **options)


def epoch(data, number):
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)


@pytest.mark.parametrize("fold", range(5))
def test_one_cell_is_left_out_and_the_next_one_chooses(fold):
    data = videos(fold=fold)
    assert data.groups("test") == {CELLS[fold]}
    assert data.groups("val") == {CELLS[(fold + 1) % 5]}
    assert data.groups("train") == set(CELLS) - data.groups("test") - data.groups("val")
    assert data.describe()["groups"] == sorted(data.groups("train") | data.groups("val"))


def test_folds_test_every_cell_once():
    tested = [videos(folds=3, fold=fold).groups("test") for fold in range(3)]
    assert sorted(chain.from_iterable(tested)) == CELLS
    for fold in range(3):
        data = videos(folds=3, fold=fold)
        assert data.groups("val") == tested[(fold + 1) % 3]
        assert not data.groups("test") & (data.groups("val") | data.groups("train"))
    other = [videos(folds=3, fold=fold, split_seed=1).groups("test") for fold in range(3)]
    assert tested != other


def test_without_a_fold_cells_are_shared_out():
    data = videos()
    assert [len(data.groups(split)) for split in ("train", "val", "test")] == [3, 1, 1]
    assert data.splits() == videos(seed=4).splits()
    assert data.describe()["splits"] == data.splits()


def test_a_fold_too_many_and_too_few_videos_are_refused():
    with pytest.raises(UserError, match=r"data\.fold=5: there are 5 folds, numbered from 0 to 4"):
        videos(fold=5).rows("test")
    with pytest.raises(UserError, match="has 2 videos"):
        videos(recordings=[recording(name) for name in CELLS[:2]]).rows("train")
    with pytest.raises(UserError, match="folds=6"):
        videos(folds=6, fold=0).rows("train")


def test_whole_videos_with_their_own_frame_numbers():
    data = videos(fold=0)
    (clip,) = data.loader("test")
    assert clip["video"] == clip["group"] == ["C01"]
    assert clip["frames"].shape == clip["masks"].shape == (1, 6, 1, 16, 16)
    assert clip["frames"].dtype == clip["masks"].dtype == torch.float32
    assert set(clip["masks"].unique().tolist()) == {0.0, 1.0}
    assert clip["frame"].tolist() == [[1, 2, 3, 4, 5, 6]]
    assert clip["pixel_size"].tolist() == [1.0]  # 0.5 µm, 32 pixels became 16
    assert clip["labelled"].all()
    expected = contrast(clip["frames"][0, :, 0], clip["masks"][0, :, 0].bool())
    torch.testing.assert_close(clip["contrast"][0].double(), expected, rtol=1e-5, atol=1e-6)


def test_distances_come_in_micrometres_where_the_pixel_size_is_known():
    for pixel_size, factor in ((0.25, 0.5), (math.nan, math.nan)):
        data = videos(fold=0, recordings=[recording(name, pixel_size=pixel_size) for name in CELLS])
        (clip,) = data.loader("test")
        table = frame_rows(clip["masks"].roll(2, dims=-1).bool(), clip)
        assert (table["hd95"] > 0).all()
        for name in ("hd95", "mean_surface_distance"):
            np.testing.assert_allclose(table[f"{name}_um"], table[name] * factor)
        assert table["frame"].tolist() == [1, 2, 3, 4, 5, 6]


def test_shorter_videos_are_padded_with_frames_that_have_no_label():
    made = [recording(name, frames=frames) for name, frames in zip(CELLS, (6, 4, 6, 6, 6), strict=True)]
    data = videos(made, folds=3, fold=0)
    data.splits = lambda: dict.fromkeys(CELLS[:2], "test") | dict.fromkeys(CELLS[2:], "train")
    (clip,) = data.loader("test")
    assert clip["frames"].shape[:2] == (2, 6)
    assert clip["labelled"].tolist() == [[True] * 6, [True] * 4 + [False] * 2]
    assert torch.equal(clip["frames"][1, 5], clip["frames"][1, 3])
    rows = frame_rows(clip["masks"].bool(), clip)
    assert rows.groupby("video")["frame"].max().tolist() == [6, 4]


def test_training_windows_are_never_padded():
    made = [recording(name, frames=frames) for name, frames in zip(CELLS, (6, 6, 4, 6, 5), strict=True)]
    batches = epoch(videos(made, fold=0, clips_per_epoch=12), 0)
    assert all(batch["labelled"].all() for batch in batches)
    assert {batch["frames"].shape[1] for batch in batches} == {4}
    assert {batch["frames"].shape[1] for batch in epoch(videos(made, fold=0, frames=3), 0)} == {3}
    assert {batch["frames"].shape[1] for batch in epoch(videos(made, fold=0, frames=50), 0)} == {4}


def test_frames_without_a_mask_are_no_empty_masks():
    bare = recording("C01")
    known = np.array([True, False, True, False, False, True])
    bare = replace(bare, masks=bare.masks & known[:, None, None], labelled=known)
    (clip,) = videos([bare, *map(recording, CELLS[1:])], fold=0).loader("test")
    assert clip["labelled"].tolist() == [known.tolist()]
    assert clip["contrast"][0].isnan().tolist() == (~known).tolist()
    assert frame_rows(clip["masks"].bool(), clip)["frame"].tolist() == [1, 3, 6]


def test_every_window_of_training_has_a_mask():
    def partly(name):
        bare = recording(name)
        known = np.arange(6) == 4
        return replace(bare, masks=bare.masks & known[:, None, None], labelled=known)

    data = videos(list(map(partly, CELLS)), fold=0, frames=3, clips_per_epoch=12)
    batches = list(chain.from_iterable(epoch(data, number) for number in range(3)))
    assert all(batch["labelled"].any(dim=1).all() for batch in batches)
    assert {int(at) for batch in batches for at in batch["frame"][:, 0]} == {3, 4}


def test_a_video_is_known_by_its_frames_under_any_name():
    data = videos(fold=0)
    renamed = videos([replace(each, name=f"other_{each.name}") for each in data.recordings], fold=0)
    assert renamed.contents("test") == data.contents("test")
    assert not data.contents("test") & set(data.describe()["contents"])
    assert renamed.contents("train") <= set(data.describe()["contents"])


def test_windows_of_training_use_all_its_videos_alike_and_lie_within_them():
    data = videos(fold=0, frames=3, clips_per_epoch=6)
    batches = list(chain.from_iterable(epoch(data, number) for number in range(4)))
    names = list(chain.from_iterable(batch["video"] for batch in batches))
    assert {name: names.count(name) for name in set(names)} == dict.fromkeys(["C03", "C04", "C05"], 8)
    first = torch.cat([batch["frame"] for batch in batches])
    assert (first.diff(dim=1) == 1).all()
    assert set(first[:, 0].tolist()) == {1, 2, 3, 4}
    whole = {clip["video"][0]: clip for clip in videos(fold=0, batch_size=1).loader("train")}
    for batch in batches:
        for at, name in enumerate(batch["video"]):
            part = batch["frame"][at] - 1
            assert torch.equal(batch["frames"][at], whole[name]["frames"][0, part])
            assert torch.equal(batch["masks"][at], whole[name]["masks"][0, part])


def test_a_window_is_a_function_of_seed_and_number():
    torch.manual_seed(1)
    first = epoch(videos(fold=0, frames=3), 2)
    undisturbed = videos(fold=0, frames=3)
    for number in range(3):
        torch.manual_seed(number)
        again = epoch(undisturbed, number)
    assert [batch["video"] for batch in first] == [batch["video"] for batch in again]
    assert all(torch.equal(a[key], b[key]) for a, b in zip(first, again, strict=True) for key in FIXED)
    other = epoch(videos(fold=0, frames=3, seed=1), 2)
    assert [(b["video"], b["frame"].tolist()) for b in other] != [(b["video"], b["frame"].tolist()) for b in first]
    still = videos(fold=0, frames=3, shuffle=False)
    assert [batch["video"] for batch in epoch(still, 0)] == [batch["video"] for batch in epoch(still, 5)]
    data = videos(fold=0, frames=3)
    assert [data.window(number) for number in (7, 3)] == [data.window(7), data.window(3)]


def test_lightning_and_the_evaluator_see_the_same_clips():
    data = videos(folds=3, fold=0)
    for clip, batch in zip(data.loader("val"), data.val_dataloader(), strict=True):
        moved = data.transfer_batch_to_device(batch, torch.device("cpu"), 0)
        assert clip["video"] == moved["video"]
        assert all(torch.equal(clip[key], moved[key]) for key in FIXED)


def test_what_a_checkpoint_is_told_of_the_scale():
    described = videos(fold=0).describe()
    assert described["crop_size"] == [16, 16]
    assert described["pixel_size"] == 1.0
    assert described["nucleus_diameter"] == pytest.approx(6, abs=0.7)  # radius 6 less the border, halved
    unknown = videos([recording(name, pixel_size=math.nan) for name in CELLS], fold=0).describe()
    assert unknown["pixel_size"] is None
    assert torch.equal(torch.tensor(unknown["nucleus_diameter"]), torch.tensor(described["nucleus_diameter"]))


def test_the_fingerprint_is_of_what_decides_the_clips():
    one = videos(fold=0).fingerprint()
    assert one == videos(fold=0, seed=3, batch_size=4, clips_per_epoch=9, frames=3).fingerprint()
    brighter = [replace(made, frames=made.frames + 1) for made in map(recording, CELLS)]
    for changes in (
        {"fold": 0, "preparation": ModernPreparation(size=16, high=90)},
        {"fold": 0, "recordings": brighter},
        {"fold": 1},
    ):
        assert videos(**changes).fingerprint() != one


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of the published layout."""
    path = tmp_path_factory.mktemp("videos")
    for made in map(recording, CELLS[:4]):
        for image, mask, number in zip(made.frames, made.masks, made.numbers, strict=True):
            planes = np.stack([image, mask.astype(np.uint16) * 255])
            tifffile.imwrite(path / f"LEXY_{made.name}_t{number:02}.tif", planes, photometric="minisblack")
    return path


def test_lexy_train_cross_validates_videos(folder, tmp_path):
    options = (
        f"data.folder={folder} data.layout.pixel_size=0.5 data.preparation.size=32 data.fold=1 data.clips_per_epoch=4 "
        "model=tracknet training=unrolled start=truth backbone.width=4 backbone.depth=2 optimizer.lr=1e-2 "
        "trainer.max_epochs=1 trainer.enable_progress_bar=false"
    )
    done = run_forked(
        tmp_path, "train", "data=lexy", *options.split(), f"paths.outputs={tmp_path / 'out'}", "name=videos"
    )
    assert done.returncode == 0, done.stderr + done.stdout
    (path,) = (tmp_path / "out").rglob("test_frames.parquet")
    table = pd.read_parquet(path)
    assert set(table["video"]) == {"C02"}
    assert set(table["fold"]) == {1}
    assert table["frame"].tolist() == [2, 3, 4, 5, 6]  # the first frame's truth is given
    assert table["hd95_um"].notna().all()


def test_lexy_train_takes_stacks_of_imagej_with_two_channels(tmp_path):
    for made in map(recording, CELLS[:3]):
        facts = {"axes": "TCYX", "unit": "micron", "finterval": 270.0}
        data = np.stack([np.zeros_like(made.frames), made.frames], axis=1)
        tifffile.imwrite(tmp_path / f"{made.name}.tif", data, imagej=True, resolution=(2, 2), metadata=facts)
        tifffile.imwrite(
            tmp_path / f"{made.name}_mask.tif", made.masks.astype(np.uint8), imagej=True, metadata={"axes": "TYX"}
        )
    options = (
        f"data/layout=stacks data.layout.channel=1 data.folder={tmp_path} data.preparation.size=32 data.fold=0 "
        "data.clips_per_epoch=2 backbone.width=4 backbone.depth=2 trainer.max_epochs=1 name=stacks "
        "trainer.enable_progress_bar=false"
    )
    done = run_forked(tmp_path, "train", "data=lexy", *options.split(), f"paths.outputs={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr + done.stdout
    (path,) = (tmp_path / "out").rglob("test_frames.parquet")
    table = pd.read_parquet(path)
    assert set(table["video"]) == {"C01"}
    assert table["hd95_um"].notna().all()
