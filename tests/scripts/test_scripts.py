import subprocess
import sys

import numpy as np
import pandas as pd
import tifffile
from cli_runs import REPOSITORY, environment


def script(name, *arguments):
    call = [sys.executable, str(REPOSITORY / "scripts" / name), *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, env=environment(), check=False)


def fold(folder, group, dice):
    folder.mkdir()
    always = dict.fromkeys(["iou", "hausdorff", "hd95", "mean_surface_distance", "surface_dice"], 1.0)
    maybe = dict.fromkeys(["sensitivity", "specificity", "nc_error", "hausdorff_um", "hd95_um"], 1.0)
    row = {"run": folder.name, "seed": 0, "data": "phantom", "group": group, "video": f"{group}#1", "frame": 0}
    rows = [
        row | always | maybe | {"dice": d, "missed": False, "spurious": False, "hausdorff_published": 1.0} for d in dice
    ]
    table = pd.DataFrame(rows).assign(video=[f"{group}#{i}" for i in range(len(dice))])
    table.assign(mean_surface_distance_um=1.0).to_parquet(folder / "test_frames.parquet")
    return folder


def test_folds_are_joined_into_one_mean_over_groups(tmp_path):
    folders = [fold(tmp_path / name, name, dice) for name, dice in (("a", [0.2]), ("b", [0.5, 0.7]), ("c", [0.9]))]
    done = script("join_folds.py", *folders, "--output", tmp_path / "joined.csv")
    assert done.returncode == 0, done.stderr
    summary = pd.read_csv(tmp_path / "joined.csv", index_col="metric")
    assert abs(summary.loc["dice", "mean"] - (0.2 + 0.6 + 0.9) / 3) < 1e-12
    assert summary.loc["dice", "groups"] == 3
    assert "PHANTOM" in done.stdout


def test_runs_that_tested_the_same_group_are_no_folds(tmp_path):
    folders = [fold(tmp_path / name, "same", [0.2]) for name in "ab"]
    done = script("join_folds.py", *folders)
    assert done.returncode == 1
    assert "same: tested in more than one" in done.stderr


def sequence(folder, group, dice, name="test_frames"):
    """A run on one video of two frames; its HD95 is known in µm."""
    folder.mkdir(exist_ok=True)
    rows = [
        {"run": folder.name, "data": "lexy", "method": "copied", "group": group, "video": group, "frame": frame}
        | {"dice": value, "hd95": 4.0, "hd95_um": 2.0, "nc_error": 0.1, "missed": False}
        for frame, value in enumerate(dice)
    ]
    pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
    return folder


def test_rows_of_folds_are_compared_with_each_other_and_their_baselines(tmp_path):
    first = [sequence(tmp_path / f"a{i}", f"C{i}", [0.9, 0.8 - i / 100]) for i in range(4)]
    second = [sequence(tmp_path / f"b{i}", f"C{i}", [0.7, 0.6 - i / 50]) for i in range(4)]
    for i, folder in enumerate(first):
        sequence(folder, f"C{i}", [0.5, 0.4], "test_baselines")
    rows = ["--row", "new", *first, "--row", "old", *second]
    done = script("join_folds.py", *rows, "--reference", "new", "--output", tmp_path / "t.csv")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "t.csv", index_col="method")
    assert table.index.tolist() == ["copied", "new", "old"]
    assert abs(table.loc["new", "dice"] - (0.9 + 0.785) / 2) < 1e-12
    assert abs(table.loc["old", "dice_worst_frame"] - 0.57) < 1e-12
    assert abs(table.loc["old", "dice_difference"] - (0.1 + 0.1075)) < 1e-12
    assert table.loc["new", "hd95_um"] == 2.0
    assert "| old | 0.635" in done.stdout
    assert "new minus" in done.stdout
    assert "*" in done.stdout.split("| old |")[-1]


def test_a_reference_that_is_no_row_is_named(tmp_path):
    run = sequence(tmp_path / "a", "C0", [0.9])
    done = script("join_folds.py", "--row", "new", run, "--reference", "other")
    assert done.returncode == 1
    assert "--reference other: no such row; there are: new" in done.stderr
    done = script("join_folds.py", "--row", "new", run, "--row", "empty")
    assert done.returncode == 1
    assert done.stderr == "error: a row without runs: name their folders after its name.\n"


def test_the_benchmark_runs():
    done = script("benchmark.py", "--no-training", "--rounds", "1", "--threads", "1")
    assert done.returncode == 0, done.stderr
    for line in ("augmentation", "metrics", "--help", "tab completion"):
        assert line in done.stdout


def test_followed_nuclei_are_counted_at_both_ends_under_one_id(tmp_path):
    reference = np.zeros((3, 40, 60), np.uint16)
    for number, column in enumerate((5, 25, 45), start=1):
        reference[:, 10:20, column : column + 10] = number
    found = reference.copy()
    found[2][found[2] == 2] = 7  # another id at the end
    found[0][found[0] == 3] = 0  # not found at first
    video = np.random.default_rng(0).integers(100, 200, reference.shape).astype(np.uint16)
    for name, data in (("labels", found), ("reference", reference), ("video", video)):
        tifffile.imwrite(tmp_path / f"{name}.tif", data, photometric="minisblack")
    paths = [tmp_path / f"{name}.tif" for name in ("labels", "reference", "video")]
    done = script("compare_tracks.py", *paths, "--diameter", 10)
    assert done.returncode == 0, done.stderr
    assert "all: 3 followed; found first 2, last 3, both under one id 1 (33%)" in done.stdout
    (tmp_path / "w.csv").write_text("row,column,window\n15,10,12\n")
    done = script("compare_tracks.py", *paths, "--diameter", 10, "--leave-out", tmp_path / "w.csv")
    assert "inside the windows: 1 followed; found first 1, last 1, both under one id 1 (100%)" in done.stdout
