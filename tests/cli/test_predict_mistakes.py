"""`lexy-predict` given what it cannot use, or ended in the middle: one line, and nothing left behind."""

import pickle
import shutil
import signal
import sys

import numpy as np
import pytest
import tifffile
import torch
from cli_runs import run_forked
from predict_work import HOW, fill, video

import lexy
from lexy.cli.predict import main

pytestmark = pytest.mark.xdist_group("predict")  # they share a server


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    fill(folder)
    return folder


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
    ("v.ome.tif", ["--device", "cuda" if sys.platform == "darwin" else "mps"], "no such device here"),
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


def test_threads_are_at_least_one(work, capsys):
    with pytest.raises(SystemExit):
        main(["v.ome.tif", *HOW, "--output", "bad", "--threads", "0"])
    assert "argument --threads: 0 is less than 1" in capsys.readouterr().err


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
    tifffile.imwrite(work / "small.tif", np.eye(10, dtype=np.uint8))
    monkeypatch.setattr(lexy.Segmenter, "__call__", worked_on)
    for second, words in [
        ("gone.tif,a,2,,,", "row 3: gone.tif"),
        ("again.ome.tif,a,2,mask.tif,,", "row 3: .*write FRAME=FILE"),
        ("again.ome.tif,a,2,99=mask.tif,,", "row 3: .*given for frame 99"),
        ("again.ome.tif,a,2,0=small.tif,,", "row 3: .*10 × 10 pixels"),
        ("again.ome.tif,a,2,,50,", "row 3: .*needs --light-on"),
        ("again.ome.tif,a,2,,,900", "row 3: .*--diameter 900"),
        ("untimed.tif,a,2,,,", "some videos have an interval and others not"),
    ]:
        columns = "video,condition,replicate,mask,light_off,diameter"
        (work / "bad.csv").write_text(f"{columns}\nv.ome.tif,a,1,,,\n{second}\n")
        with pytest.raises(SystemExit, match=words) as ended:
            main(["--table", "bad.csv", *HOW[:4], "--output", "none_yet"])
        assert "bad.csv" in str(ended.value.code)
        assert not (work / "none_yet").exists()


def worked_on(*_, **__):
    raise AssertionError("a video was worked on")


def test_a_mistake_within_a_video_of_a_table_names_its_row(work, monkeypatch):
    monkeypatch.chdir(work)
    frames = video()
    frames[7] = 3  # what is seen only when it is read
    tifffile.imwrite(work / "dark.tif", frames, metadata={"axes": "TYX"})
    (work / "bad.csv").write_text("video,condition,replicate,mask\ndark.tif,a,1,0=mask.tif\n")
    with pytest.raises(SystemExit, match=r"--table bad\.csv, row 2: .*frame 7: constant"):
        main(["--table", "bad.csv", *HOW[:4], "--output", "none_yet"])
    assert not (work / "none_yet").exists()


def test_a_film_that_cannot_be_written_is_told_before_the_work(work, monkeypatch):
    monkeypatch.chdir(work)
    monkeypatch.setattr("lexy.cli.predict.find_spec", lambda name: None)
    monkeypatch.setattr(lexy.Segmenter, "__call__", worked_on)
    with pytest.raises(SystemExit, match="--film mp4 needs an encoder"):
        main(["v.ome.tif", *HOW, "--film", "mp4", "--output", "filmed"])
    assert not (work / "filmed").exists()


def test_sigterm_leaves_nothing_behind(work, monkeypatch):
    monkeypatch.chdir(work)

    def terminated(*_, folder, **__):
        (folder / "half-written").touch()
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("went on")

    monkeypatch.setattr(lexy.Segmenter, "__call__", terminated)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit) as ended:
            main(["v.ome.tif", *HOW, "--output", "ended"])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143
    assert not (work / "ended").exists()
