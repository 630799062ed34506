"""`lexy-predict` as a user runs it: what it finds and what it leaves behind."""

import os
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from cli_runs import environment, run
from predict_work import CENTRES, FRAMES, HOW, INTERVAL, KNOWN, OFF, ON, SPEC, cells, fill, ratio, video

import lexy
from lexy.checkpoint import facts, open_trained
from lexy.cli.predict import _whole, main
from lexy.errors import UserError
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla
from lexy.predict import segmenter

pytestmark = pytest.mark.xdist_group("predict")  # they share a result


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    fill(folder)
    return folder


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


def test_calls_from_python_give_the_same(work, result):
    same = pd.read_csv(result / "nuclei.csv")
    options = {"diameter": 16, "masks": {0: cells()[0]}, "interval": INTERVAL, "light_on": ON, "light_off": OFF}
    loaded = lexy.Segmenter(work / "copy.ckpt")
    calls = [
        partial(loaded, work / "v.ome.tif"),
        partial(loaded, video()),
        partial(lexy.segment, video(), work / "copy.ckpt"),
    ]
    for call in calls:
        with call(**options) as found:
            assert found.labels(3).shape == (48, 96)
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


def test_the_result_can_be_recorded_for_wandb_offline(work, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "0123456789abcdef")
    done = run(work, "predict", "v.ome.tif", *HOW, "--output", "seen", "--wandb", "kinetics-0123456789abcdef")
    assert done.returncode == 1
    assert "wandb holds the value of the environment variable SOME_API_KEY" in done.stderr
    assert not (work / "seen").exists()
    done = run(work, "predict", "v.ome.tif", *HOW, "--output", "seen", "--wandb", "kinetics")
    assert done.returncode == 0, done.stderr
    (record,) = (work / "seen" / "wandb").glob("offline-run-*-predict-*")
    call = [sys.executable, "-m", "wandb", "leet", "inspect", "--json"]
    text = "".join(
        subprocess.run([*call, *flags, record], capture_output=True, text=True, env=environment(), check=True).stdout
        for flags in ([], ["--summary"])
    )
    for name in ("nc/mean", "trusted", "predict", "kinetics", "curves", "overlay"):
        assert name in text, name
    assert "0123456789abcdef" not in text
    assert {".png", ".gif", ".json"} <= {path.suffix for path in (record / "files" / "media").rglob("*.*")}


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
    loaded = []
    monkeypatch.setattr(segmenter, "open_trained", lambda *given: loaded.append(given) or open_trained(*given))
    main(arguments)
    assert len(loaded) == 1
    table = pd.read_csv(work / "many" / "conditions.csv").set_index(["condition", "quantity"])
    assert set(table["unit"].dropna()) == {"s"}
    assert table.loc[("wild", "export_half_time"), "mean"] == pytest.approx(30, rel=0.1)
    assert table["replicates"].eq(2).all()
    assert table["low"].isna().all()
    assert len(pd.read_csv(work / "many" / "nuclei.csv")) == 4 * 2 * FRAMES
    assert "fewer than three replicates" in (work / "many" / "page.html").read_text()
    assert (work / "many" / "001" / "page.html").is_file()


def test_a_table_without_any_nucleus_has_its_page(work, monkeypatch):
    monkeypatch.chdir(work)
    spec = {"_target_": "lexy.networks.unet.UNet", "backbone": SPEC["backbone"]}
    network = UNet(partial(Vanilla, width=4, depth=2))
    state = {f"network.{name}": torch.zeros_like(tensor) for name, tensor in network.state_dict().items()}
    biases = [name for name in state if name.endswith("bias")]
    state[biases[-1]] -= 50  # of the last layer: no pixel is nucleus
    torch.save({"state_dict": state, "lexy": facts(spec, KNOWN)}, work / "blind.ckpt")
    shutil.copy(work / "v.ome.tif", work / "again.ome.tif")
    (work / "blind.csv").write_text("video,condition,replicate\nv.ome.tif,a,1\nagain.ome.tif,b,1\n")
    main(["--table", "blind.csv", "--checkpoint", "blind.ckpt", "--diameter", "16", "--output", "blind"])
    table = pd.read_csv(work / "blind" / "conditions.csv")
    assert set(table["condition"]) == {"a", "b"}
    assert (table["replicates"] == 0).all()
    assert "There is no nucleus to be trusted" in (work / "blind" / "page.html").read_text()


def test_temporary_files_go_where_they_are_told(work):
    with pytest.raises(UserError, match="no such folder"):
        lexy.segment(video(), work / "copy.ckpt", diameter=16, masks={0: cells()[0]}, folder=work / "none")
    place = work / "temporary"
    place.mkdir()
    with lexy.segment(video(), work / "copy.ckpt", diameter=16, masks={0: cells()[0]}, folder=place):
        assert len(list(place.iterdir())) == 1
    assert list(place.iterdir()) == []


def test_the_output_has_the_users_permissions(work):
    before = os.umask(0o027)
    try:
        with _whole(work / "shared") as folder:
            (folder / "001").mkdir()
    finally:
        os.umask(before)
    assert (work / "shared").stat().st_mode & 0o777 == 0o750
    assert (work / "shared" / "001").stat().st_mode & 0o777 == 0o750


def test_results_are_not_overwritten(work, result, monkeypatch):
    monkeypatch.chdir(work)
    with pytest.raises(SystemExit, match="nothing is overwritten"):
        main(["v.ome.tif", *HOW, "--output", "out"])
