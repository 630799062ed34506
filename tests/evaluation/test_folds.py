import pandas as pd
import pytest
from frame_tables import THREE

from lexy.errors import UserError
from lexy.evaluation.folds import join_folds, read_folds


def test_folds_share_no_group():
    one, other = (THREE.assign(run=name, data="d", seed=0) for name in "xy")
    with pytest.raises(UserError, match="g00, g01, g02: tested in more than one of the runs x, y, so they are no"):
        join_folds([one, other])
    other = other.assign(group=other["group"] + "'")
    pd.testing.assert_frame_equal(join_folds([one, other]), pd.concat([one, other], ignore_index=True))
    with pytest.raises(UserError, match="different data"):
        join_folds([one, other.assign(data="e")])


def test_tables_are_read_and_a_missing_one_is_told(tmp_path):
    for at, folder in enumerate(folders := [tmp_path / "a", tmp_path / "b"]):
        folder.mkdir()
        THREE.assign(run=folder.name, data="d", seed=at, group=folder.name).to_parquet(folder / "test_frames.parquet")
    found = read_folds(folders)
    assert found["group"].unique().tolist() == ["a", "b"]
    assert "seed" not in found
    with pytest.raises(UserError, match=r"a: no test_baselines.parquet; name the folders of finished runs"):
        read_folds(folders, "test_baselines")
    with pytest.raises(UserError, match="a row without runs"):
        read_folds([])
