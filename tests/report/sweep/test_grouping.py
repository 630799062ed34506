import fcntl
import json
import os

import numpy as np
import pandas as pd
import pytest
from sweep_files import frames, settings, write_run

from lexy.errors import UserError
from lexy.evaluation.summary import published_summary
from lexy.files import in_use
from lexy.report.sweep.grouping import compare_runs, newest, read_trained
from lexy.report.sweep.published import beside_published, published_results
from lexy.report.sweep.run_folders import find_runs, read_run

FEW = 200


def compared(folder, reference=None):
    trained, broken = read_trained(find_runs([folder]))
    assert broken == {}
    return compare_runs(newest(trained)[0], reference, resamples=FEW)


def dice_of(comparison):
    found = comparison.summary[comparison.summary["metric"] == "dice"].set_index("row")
    return found["mean"].to_dict()


def test_seeds_are_averaged_within_a_group(tmp_path):
    first, second = [[0.5, 0.7], [0.9, 0.9], [0.1, 0.3]], [[0.7, 0.9], [0.5, 0.5], [0.3, 0.5]]
    write_run(tmp_path / "a-00000001", first, settings(seed=0))
    write_run(tmp_path / "a-00000002", second, settings(seed=1))
    (one,) = compared(tmp_path)
    (row,) = one.rows
    assert row.seeds == 2
    assert dice_of(one) == {"synthetic-unet": pytest.approx((0.7 + 0.7 + 0.3) / 3)}
    dice = one.summary[one.summary["metric"] == "dice"].iloc[0]
    assert dice["groups"] == 3
    assert dice["low"] == pytest.approx(0.3, abs=1e-6)  # of 0.3, 0.7, 0.7, not of six values


def test_folds_are_joined_and_a_missing_one_is_told(tmp_path):
    for at, model in enumerate(("unet", "tracknet")):
        for fold in range(2 - at):
            name = f"{model}-0000000{fold}"
            write_run(tmp_path / name, [[0.5 + fold / 4]] * 2, settings(model=model, fold=fold), prefix=f"f{fold}")
    (one,) = compared(tmp_path)
    assert "folds joined" in one.title
    assert dice_of(one) == {"UNet": 0.625, "TrackNet": 0.5}
    assert {row.name: row.notes for row in one.rows} == {"UNet": (), "TrackNet": ("seed 0 lacks fold 1",)}
    difference = one.differences[one.differences["metric"] == "dice"].iloc[0]
    assert (difference["row"], difference["groups"], difference["n_unpaired"]) == ("TrackNet", 2, 2)


def test_folds_that_share_a_group_are_refused(tmp_path):
    for fold in range(2):
        write_run(tmp_path / f"a-0000000{fold}", [[0.5]], settings(fold=fold))
    with pytest.raises(UserError, match=r"g000: tested in more than one of the runs .*a-00000000, .*a-00000001"):
        compared(tmp_path)


@pytest.mark.parametrize(
    "columns",
    [{"data": "hpa"}, {"split": "val"}, {"rollout": "one step"}, {"first_frame": "given"}],
    ids=lambda c: next(iter(c)),
)
def test_runs_that_were_tested_otherwise_stand_apart(tmp_path, columns):
    write_run(tmp_path / "a-00000001", [[0.5]])
    write_run(tmp_path / "b-00000002", [[0.6]], settings(loss="combined"), **columns)
    assert [len(one.rows) for one in compared(tmp_path)] == [1, 1]


def test_a_start_or_a_fingerprint_parts_them_but_a_network_without_memory_stands_with_its_baselines(tmp_path):
    half = [[0.5]] * 3
    write_run(tmp_path / "a-00000001", half, settings(), baseline=half)
    write_run(tmp_path / "b-00000002", half, settings(model="tracknet"), start="truth")
    assert [row.name for row in compared(tmp_path)[0].rows] == ["TrackNet", "UNet", "copied first mask"]
    write_run(tmp_path / "c-00000003", half, settings(model="tracknet", loss="combined"), start="perturbed")
    other = {"name": "synthetic", "fingerprint": "other", "fold": None, "embedded": True}
    write_run(tmp_path / "d-00000004", half, settings(loss="combined"), {"data": other}, baseline=half)
    found = compared(tmp_path)
    assert [len(one.networks) for one in found] == [2, 1, 1]
    assert [one.embedded for one in found] == [False, False, True]
    assert len({one.title for one in found}) == 3


def test_baselines_stand_once(tmp_path):
    for seed in range(2):
        write_run(tmp_path / f"a-0000000{seed}", [[0.5]] * 3, settings(seed=seed), baseline=[[0.25]] * 3)
    (one,) = compared(tmp_path)
    assert dice_of(one) == {"synthetic-unet": 0.5, "copied first mask": 0.25}
    assert not one.rows[1].runs


def test_the_reference_is_the_best_by_validation_unless_named(tmp_path):
    write_run(tmp_path / "a-00000001", [[0.9]] * 3, status={"best_val_dice": 0.1}, baseline=[[0.2]] * 3)
    write_run(
        tmp_path / "b-00000002", [[0.5]] * 3, settings(loss="combined"), {"best_val_dice": 0.8}, baseline=[[0.2]] * 3
    )
    assert compared(tmp_path)[0].reference == "CombinedLoss"
    assert compared(tmp_path, "DiceLoss")[0].reference == "DiceLoss"
    assert compared(tmp_path, "copied")[0].reference == "copied first mask"
    with pytest.raises(UserError, match=r"(?s)no such row. There are:.*DiceLoss"):
        compared(tmp_path, "Siam")
    with pytest.raises(UserError, match="fits several rows: CombinedLoss; DiceLoss"):
        compared(tmp_path, "loss")


def test_the_last_attempt_stands_for_all(tmp_path):
    write_run(tmp_path / "a-00000001", [[0.5]])
    write_run(tmp_path / "a-00000001-10", [[0.7]], status={"attempt": None})
    write_run(tmp_path / "a-00000001-9", [[0.6]], status={"attempt": None})
    kept, replaced = newest(read_trained(find_runs([tmp_path]))[0])
    assert [one.run.name for one in kept] == ["a-00000001-10"]
    assert {os.path.basename(path) for path in replaced} == {"a-00000001", "a-00000001-9"}


def test_damaged_runs_are_told_not_read(tmp_path):
    whole, cut, bare, lost = (write_run(tmp_path / f"{name}-00000000", [[0.5]]) for name in ("a", "b", "c", "d"))
    (cut / "test_frames.parquet").write_bytes((cut / "test_frames.parquet").read_bytes()[:500])
    frames([[0.5]]).drop(columns="dice").to_parquet(bare / "test_frames.parquet")
    (lost / "resolved.yaml").write_text("a: [")
    trained, broken = read_trained(find_runs([tmp_path]))
    assert [one.run.folder for one in trained] == [whole]
    assert set(broken) == {str(cut), str(bare), str(lost)}
    assert "no column dice" in broken[str(bare)]


def test_states_and_reasons(tmp_path):
    reason = "OutOfMemoryError: too much\nmore lines"
    failed = write_run(tmp_path / "a-00000000", [[0.5]], status={"state": "failed", "reason": reason})
    going = write_run(tmp_path / "b-00000000", [[0.5]], status={"state": "running"})
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "status.json").write_text("{")
    assert read_run(failed).reason == "OutOfMemoryError: too much"
    assert read_run(going).state == "killed"
    assert "it was killed" in read_run(going).reason
    handle = os.open(going, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    assert read_run(going).state == "running"
    os.close(handle)
    assert not in_use(going)
    assert read_run(tmp_path / "c").state == "unread"
    assert [run.name for run in find_runs([tmp_path, failed])] == ["a-00000000", "b-00000000", "c"]
    with pytest.raises(UserError, match="no run in or below"):
        find_runs([tmp_path / "a-00000000" / "panels"]) if (failed / "panels").mkdir() is None else None
    with pytest.raises(UserError, match="no such folder"):
        find_runs([tmp_path / "nowhere"])


def test_the_published_rows_are_those_of_the_study(tmp_path):
    config = settings(
        model="tracknet", loss="combined", trainer={"max_epochs": 100}, backbone={"_target_": "v.Vanilla", "width": 64}
    )
    dice = [[0.5, 0.75], [0.25, 0.5]]
    write_run(tmp_path / "a-00000001", dice, config, start="perturbed")
    write_run(tmp_path / "b-00000002", dice, {**config, "loss": {"_target_": "x.Other"}}, start="perturbed")
    (one,) = compared(tmp_path)
    (pair,) = beside_published(one)
    assert pair.row == "CombinedLoss"
    assert pair.study_units == 97
    assert pair.theirs["dice"][0] == pytest.approx(0.847282, abs=1e-6)
    assert pair.ours["dice"] == tuple(published_summary(frames(dice)).loc["dice", ["mean", "sd"]])
    told = " ".join(pair.differs)
    assert "test split" in told
    assert "optimizer.lr=0.001" in told
    assert "frames of 64 px, the study: 128" in told
    assert "start=" not in told
    assert "max_epochs" not in told
    assert "width" not in told


def test_the_published_file_is_whole():
    table = published_results()
    assert len(table) == 2726
    means = table.groupby(["dataset", "architecture", "backbone", "loss"])["dice_mean"].mean()
    assert means["synthetic", "unet", "resnet34", "dice"] == pytest.approx(0.930, abs=5e-4)
    assert set(table["dataset"]) == {"hpa", "synthetic", "lexy"}


def test_values_unknown_to_older_runs(tmp_path):
    folder = write_run(tmp_path / "a-00000001", np.full((3, 2), 0.5))
    (folder / "status.json").write_text(json.dumps({"state": "done"}))
    (folder / "metrics.csv").unlink()
    table = pd.read_parquet(folder / "test_frames.parquet")
    table.drop(columns=["first_frame", "rollout", "start"]).to_parquet(folder / "test_frames.parquet")
    (one,) = compared(tmp_path)
    assert np.isnan(one.rows[0].best_val_dice)
    assert dice_of(one) == {"synthetic-unet": 0.5}
