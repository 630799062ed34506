"""`lexy-predict` as a user runs it: a small video of two cells whose nuclei get dark and come back."""

import pickle
import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from cli_runs import run, run_forked
from skimage.draw import disk

import lexy
from lexy.checkpoint import facts
from lexy.cli.predict import main
from lexy.networks.movenet import MoveNet
from lexy.networks.vanilla import Vanilla

pytestmark = pytest.mark.xdist_group("predict")  # they share a result

SPEC = {
    "_target_": "lexy.networks.movenet.MoveNet",
    "backbone": {"_target_": "lexy.networks.vanilla.Vanilla", "_partial_": True, "width": 4, "depth": 2},
}
KNOWN = {"name": "phantom", "fold": None, "groups": [], "nucleus_diameter": 16.0, "crop_size": [48, 48]}
CENTRES = ((24, 24), (24, 72))
FRAMES, ON, OFF, INTERVAL = 20, 120.0, 330.0, 30.0


def ratio(time):
    """N/C: 2, down to 0.5 with a half-time of 30 s, and back."""
    fallen = 2 - 1.5 * (1 - 2 ** (-(min(time, OFF) - ON) / 30)) if time > ON else 2.0
    return fallen if time <= OFF else fallen + (2 - fallen) * (1 - 2 ** (-(time - OFF) / 60))


def cells():
    """Nuclei (labels) and cells (bool) of a frame, 48 × 96."""
    nuclei, whole = np.zeros((48, 96), np.int32), np.zeros((48, 96), bool)
    for number, centre in enumerate(CENTRES, start=1):
        whole[disk(centre, 18, shape=whole.shape)] = True
        nuclei[disk(centre, 8, shape=whole.shape)] = number
    return nuclei, whole


def video():
    """uint16 (T, H, W); the cytoplasm is 1000 above a background of 100."""
    nuclei, whole = cells()
    noise = np.random.default_rng(0).normal(0, 5, (FRAMES, *whole.shape))
    frames = [100 + 1000 * whole + 1000 * (ratio(t * INTERVAL) - 1) * (nuclei > 0) for t in range(FRAMES)]
    return (np.stack(frames) + noise).clip(0).astype(np.uint16)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a video, the mask of its first frame, and a network that copies it: Move-Net before training."""
    folder = tmp_path_factory.mktemp("predict")
    torch.manual_seed(0)
    network = MoveNet(partial(Vanilla, width=4, depth=2), passes=2)
    with torch.no_grad():
        network.gain.zero_()
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state, "lexy": facts(SPEC, KNOWN)}, folder / "copy.ckpt")
    metadata = {"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "TimeIncrement": INTERVAL}
    tifffile.imwrite(folder / "v.ome.tif", video(), metadata=metadata)
    tifffile.imwrite(folder / "mask.tif", cells()[0])
    return folder


HOW = ["--checkpoint", "copy.ckpt", "--diameter", "16", "--mask", "0=mask.tif"]


@pytest.fixture(scope="module")
def result(work):
    done = run(work, "predict", "v.ome.tif", *HOW, "--output", "out", "--light-on", str(ON), "--light-off", str(OFF))
    assert done.returncode == 0, done.stderr
    return work / "out"


def test_every_nucleus_has_its_curve_and_its_fit(result):
    nuclei, fits = pd.read_csv(result / "nuclei.csv"), pd.read_csv(result / "cells.csv")
    assert nuclei.groupby("id").size().tolist() == [FRAMES, FRAMES]
    expected = [ratio(seconds) for seconds in nuclei["seconds"]]
    assert np.abs(nuclei["nc"] - expected).max() < 0.05
    assert nuclei["area_um2"].iloc[0] == pytest.approx(nuclei["area_px"].iloc[0] / 4)
    assert fits["trust"].all(), fits["reason"].tolist()
    assert fits["export_half_time"].tolist() == pytest.approx([30, 30], rel=0.1)
    assert fits["return_half_time"].tolist() == pytest.approx([60, 60], rel=0.1)
    assert set(fits["unit"]) == {"s"}
    assert set(fits["light"]) == {"given"}


def test_labels_keep_numbers_places_and_scale(result):
    with tifffile.TiffFile(result / "labels.ome.tif") as tif:
        assert tif.series[0].axes == "TYX"
        labels = tif.asarray()
    nuclei = cells()[0]
    for frame in (0, FRAMES // 2, FRAMES - 1):
        for centre, number in zip(CENTRES, (1, 2), strict=True):
            assert labels[frame][centre] == number
        both = ((labels[frame] > 0) & (nuclei > 0)).sum()
        assert 2 * both / ((labels[frame] > 0).sum() + (nuclei > 0).sum()) > 0.9


def test_the_folder_holds_the_page_and_its_pictures(result):
    names = {path.name for path in result.iterdir()}
    assert names >= {"page.html", "curves.png", "film_strip.png", "overlay.gif", "overlay.png", "half_times.png"}
    page = (result / "page.html").read_text()
    assert "your masks of frames 0" in page
    assert "given: on at 120" in page


def test_a_call_from_python_gives_the_same(work, result):
    with lexy.segment(
        video(), work / "copy.ckpt", diameter=16, masks={0: cells()[0]}, interval=INTERVAL, light_on=ON, light_off=OFF
    ) as found:
        assert found.labels(3).shape == (48, 96)
        same = pd.read_csv(result / "nuclei.csv")
        np.testing.assert_allclose(found.nuclei["nc"], same["nc"], rtol=1e-6)


def test_drift_and_bleaching_are_taken_out_and_reported(work):
    frames = video() + np.random.default_rng(1).normal(0, 30, (48, 96))  # a texture, or two like cells look the same
    moving = np.stack([np.roll(frame, t // 3, axis=1) * 0.97**t for t, frame in enumerate(frames)])
    with lexy.segment(
        moving.astype(np.float32),
        work / "copy.ckpt",
        diameter=16,
        masks={0: cells()[0]},
        correct=["drift", "bleaching"],
        light_on=4,
    ) as found:
        assert "6 columns" in found.facts["drift"]
        assert found.facts["bleaching"].startswith("half of the light in")
        last = found.nuclei[found.nuclei["frame"] == FRAMES - 1]
        assert last["column"].tolist() == pytest.approx([30, 78], abs=1)  # where they lie in the video
        assert found.labels(FRAMES - 1)[24, 78] == found.labels(0)[24, 72]


def test_light_that_is_not_given_is_found_and_said_to_be(work, monkeypatch):
    monkeypatch.chdir(work)
    main(["v.ome.tif", *HOW, "--output", "found"])
    fits = pd.read_csv(work / "found" / "cells.csv")
    assert set(fits["light"]) == {"found"}
    assert abs(fits["light_on"].iloc[0] - ON) <= INTERVAL
    assert "were found in the median curve" in (work / "found" / "page.html").read_text()


def test_a_table_of_videos_gives_conditions(work, monkeypatch):
    monkeypatch.chdir(work)
    rows = [
        f"{condition}{number}.ome.tif,{condition},{number},0=mask.tif"
        for condition in ("wild", "mutant")
        for number in (1, 2)
    ]
    for row in rows:
        shutil.copy(work / "v.ome.tif", work / row.split(",")[0])
    (work / "videos.csv").write_text("\n".join(["video,condition,replicate,mask", *rows]))
    arguments = ["--table", "videos.csv", *HOW[:4], "--output", "many", "--light-on", str(ON), "--light-off", str(OFF)]
    main(arguments)
    table = pd.read_csv(work / "many" / "conditions.csv").set_index(["condition", "quantity"])
    assert table.loc[("wild", "export_half_time"), "mean"] == pytest.approx(30, rel=0.1)
    assert table["replicates"].eq(2).all()
    assert table["low"].isna().all()
    assert len(pd.read_csv(work / "many" / "nuclei.csv")) == 4 * 2 * FRAMES
    assert "fewer than three replicates" in (work / "many" / "page.html").read_text()
    assert (work / "many" / "001" / "page.html").is_file()


class Bomb:
    def __reduce__(self):
        return exec, ("open('ran', 'w')",)


def bad_inputs(work):
    """Files that are not what they should be."""
    tifffile.imwrite(work / "one.tif", np.ones((48, 96), np.uint8))
    tifffile.imwrite(work / "flat.tif", np.full((5, 48, 96), 7, np.uint8), photometric="minisblack")
    tifffile.imwrite(work / "rgb.tif", np.zeros((48, 96, 3), np.uint8), photometric="rgb")
    tifffile.imwrite(work / "nan.tif", np.full((5, 48, 96), np.nan, np.float32), photometric="minisblack")
    (work / "cut.tif").write_bytes((work / "v.ome.tif").read_bytes()[:40_000])
    (work / "text.tif").write_text("no image")
    (work / "text.ckpt").write_text("no checkpoint")
    (work / "bomb.ckpt").write_bytes(pickle.dumps(Bomb()))
    torch.save({"state_dict": {}}, work / "other.ckpt")


BAD = [
    ("none.tif", [], "there is no such file"),
    ("text.tif", [], "text.tif"),
    ("cut.tif", [], "cut.tif"),
    ("one.tif", [], "one frame"),
    ("flat.tif", [], "constant"),
    ("rgb.tif", [], "rgb.tif"),
    ("nan.tif", [], "NaN"),
    ("v.ome.tif", ["--checkpoint", "none.ckpt"], "no such file"),
    ("v.ome.tif", ["--checkpoint", "text.ckpt"], "not a checkpoint"),
    ("v.ome.tif", ["--checkpoint", "bomb.ckpt"], "not a checkpoint"),
    ("v.ome.tif", ["--checkpoint", "other.ckpt"], "was not written by lexy-train"),
    ("v.ome.tif", ["--mask", "99=mask.tif"], "99"),
    ("v.ome.tif", ["--mask", "mask.tif"], "write FRAME=FILE"),
    ("v.ome.tif", ["--mask", "0=other.tif"], "frame 0 has another mask already"),
    ("v.ome.tif", ["--light-on", "9", "--light-off", "3"], "is not after"),
    ("v.ome.tif", ["--light-off", "3"], "needs --light-on"),
]


def test_bad_input_is_one_line_and_leaves_nothing(work, monkeypatch):
    bad_inputs(work)
    monkeypatch.chdir(work)
    before = set(work.iterdir())
    for source, arguments, message in BAD:
        with pytest.raises(SystemExit) as ended:
            main([source, *HOW, "--output", "bad", *arguments])
        said = str(ended.value.code)
        assert message in said, (source, arguments, said)
        assert said.startswith("error: ")
        assert "\n" not in said
        assert set(work.iterdir()) == before, (source, arguments)


def test_a_mistake_is_no_traceback(work):
    done = run_forked(work, "predict", "none.tif", *HOW, "--output", "bad")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: none.tif: there is no such file or folder"]


def test_results_are_not_overwritten(work, result, monkeypatch):
    monkeypatch.chdir(work)
    with pytest.raises(SystemExit, match="nothing is overwritten"):
        main(["v.ome.tif", *HOW, "--output", "out"])


def test_an_unknown_scale_says_what_to_give(work, monkeypatch):
    monkeypatch.chdir(work)
    with pytest.raises(SystemExit) as ended:
        main(["v.ome.tif", "--checkpoint", "copy.ckpt", "--mask", "0=mask.tif", "--output", "bad"])
    assert "--diameter PX" in str(ended.value.code)


def test_an_empty_folder_may_be_the_output_and_stays_on_a_mistake(work, monkeypatch):
    place = work / "empty"
    place.mkdir()
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit):
        main(["../none.tif", "--diameter", "16", "--output", "."])
    assert list(place.iterdir()) == []
    how = ["--checkpoint", "../copy.ckpt", "--diameter", "16", "--mask", "0=../mask.tif"]
    main(["../v.ome.tif", *how, "--output", "."])
    assert (place / "page.html").exists()
    assert not list(place.glob(".unfinished*"))


def test_a_table_is_checked_before_its_first_video_is_worked_on(work, monkeypatch):
    monkeypatch.chdir(work)
    shutil.copy(work / "v.ome.tif", work / "again.ome.tif")
    tifffile.imwrite(work / "untimed.tif", video(), metadata={"axes": "TYX"})
    for second, words in [
        ("gone.tif,a,2,,", "gone.tif"),
        ("again.ome.tif,a,2,mask.tif,", "write FRAME=FILE"),
        ("again.ome.tif,a,2,,50", "light_off needs light_on"),
        ("untimed.tif,a,2,,", "some videos have an interval and others not"),
    ]:
        (work / "bad.csv").write_text(f"video,condition,replicate,mask,light_off\nv.ome.tif,a,1,,\n{second}\n")
        with pytest.raises(SystemExit, match=words) as ended:
            main(["--table", "bad.csv", *HOW[:4], "--output", "none_yet"])
        assert "bad.csv" in str(ended.value.code)
        assert not (work / "none_yet").exists()
