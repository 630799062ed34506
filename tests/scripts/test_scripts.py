import subprocess
import sys

import pandas as pd
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


def test_the_benchmark_runs():
    done = script("benchmark.py", "--no-training", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    for line in ("augmentation", "metrics", "--help", "tab completion"):
        assert line in done.stdout
