import numpy as np
import pandas as pd
import pytest
from frame_tables import FEW, THREE, curves, frames
from hypothesis import given, settings
from hypothesis import strategies as st

from lexy.errors import UserError
from lexy.evaluation.comparison import comparison
from lexy.evaluation.sequences import first_below, over_contrast, sequence_means, sequence_summary, whole_summary
from lexy.evaluation.summary import group_means, summarise
from lexy.evaluation.worst_frame import worst_frame


def test_over_contrast_by_hand() -> None:
    table = frames(
        *[("x", "a", t, dice) for t, dice in enumerate((1.0, 0.5, 0.25, 0.75))],
        *[("y", "b", t, dice) for t, dice in enumerate((0.0, 0.5, 1.0, 0.25))],
        contrast=[0.5, 0.0, -0.1, np.nan, 1.0, 0.2, 0.7, 1.5],
    )
    found = over_contrast(table, edges=[-1, 0, 0.5, 1])
    assert found["low"].tolist()[:5] == [-np.inf, -1, 0, 0.5, 1]
    assert found["high"].tolist()[:5] == [-1, 0, 0.5, 1, np.inf]
    assert found["frames"].tolist() == [0, 1, 2, 3, 1, 1]
    assert found["groups"].tolist() == [0, 1, 2, 2, 1, 1]
    # In the bin from 0.5 to 1, which holds both edges: x has 1.0, y the mean of 0.0 and 1.0.
    assert found["dice"].tolist()[1:] == [0.25, 0.5, 0.75, 0.25, 0.75]
    assert np.isnan(found["dice"][0])
    assert found.iloc[-1][["low", "high"]].isna().all()


@settings(max_examples=20)
@given(st.lists(st.floats(-1.2, 1.2) | st.just(float("nan")), min_size=1, max_size=12))
def test_every_frame_is_in_one_bin(contrast: list[float]) -> None:
    table = frames(*[("x", "a", t, 0.5) for t in range(len(contrast))], contrast=contrast)
    found = over_contrast(table)
    assert found["frames"].sum() == len(contrast)
    assert found["frames"].iloc[-1] == np.isnan(contrast).sum()


def test_undefined_values_are_counted_by_bin() -> None:
    table = curves([[0.5, 0.5]]).assign(contrast=0.3, nc_error=[np.nan, 0.2])
    (row,) = [row for _, row in over_contrast(table, "nc_error").iterrows() if row["frames"]]
    assert row[["low", "high", "nc_error", "n_undefined"]].tolist() == [0.3, 0.5, 0.2, 1]


@pytest.mark.parametrize("edges", [[0.0], [0.0, 0.0], [1.0, 0.0], [0.0, np.nan]])
def test_edges_must_increase(edges: list[float]) -> None:
    with pytest.raises(UserError, match="make no bins"):
        over_contrast(THREE.assign(contrast=0.0), edges=edges)


FALLING = frames(
    *[("x", "a", t, dice) for t, dice in ((5, 0.9), (2, 0.69), (3, 0.1))],
    *[("x", "b", t, 0.7) for t in range(3)],
    *[("y", "a", t, dice) for t, dice in enumerate((0.8, 0.9, 0.9, 0.9, 0.5))],
    *[("z", "c", t, 0.9) for t in range(3)],
)


def test_first_below_by_hand() -> None:
    found = first_below(FALLING).set_index(["group", "video"])["first_below"]
    assert found["x", "a"] == 2
    assert found["y", "a"] == 4
    assert found[[("x", "b"), ("z", "c")]].isna().all()  # 0.7 is not below 0.7
    seeds = pd.concat([FALLING.assign(seed=1), FALLING.assign(seed=2, dice=0.0)])
    assert first_below(seeds)["first_below"].notna().sum() == 2 + 4


def test_ever_below_by_hand() -> None:
    assert sequence_means(FALLING)["ever_below_0.7"].to_dict() == {"x": 0.5, "y": 1, "z": 0}
    assert sequence_means(FALLING, 0.05)["ever_below_0.05"].tolist() == [0, 0, 0]
    row = sequence_summary(FALLING).loc["ever_below_0.7"]
    assert row["mean"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert row["low"] <= 0.5 <= row["high"]


@pytest.mark.parametrize("level", [0.0, -1.0, 1.5, float("nan")])
def test_a_level_is_a_dice(level: float) -> None:
    with pytest.raises(UserError, match="is no Dice"):
        first_below(FALLING, level)


def test_summary_has_the_form_of_summarise() -> None:
    table = THREE.assign(dice_one_step=0.75)
    found = sequence_summary(table, 0.6)
    known = summarise(table)
    assert found.columns.tolist() == known.columns.tolist()
    assert found.index.name == known.index.name
    assert (found.dtypes == known.dtypes).all()
    assert found["mean"].to_dict() == {
        "dice_first_frame": 0.75,
        "dice_last_frame": 0.5,
        "dice_worst_frame": 0.5,
        "ever_below_0.6": 1.0,
        "dice_one_step": 0.75,
        "dice_drop": pytest.approx(0.75 - known.loc["dice", "mean"]),
    }
    assert found["frames"].tolist() == [3, 3, 9, 9, 9, 9]
    assert (found["n_missed"] == 1).all()
    assert "dice_drop" not in sequence_summary(THREE).index
    pd.testing.assert_frame_equal(whole_summary(table), pd.concat([known, sequence_summary(table)]))
    stills = table[table["frame"] == 0]
    pd.testing.assert_frame_equal(whole_summary(stills), summarise(stills))


def test_the_drop_is_paired_by_group() -> None:
    table = THREE.assign(dice_one_step=THREE["dice"] + 0.125)
    row = sequence_summary(table).loc["dice_drop"]
    assert row[["mean", "low", "high"]].tolist() == [0.125] * 3
    assert row["method"] == "constant"


def test_last_frame_is_each_videos_own() -> None:
    found = sequence_summary(FALLING, resamples=FEW)
    assert found.loc["dice_last_frame", "mean"] == pytest.approx(((0.9 + 0.7) / 2 + 0.5 + 0.9) / 3)
    assert found.loc["dice_first_frame", "mean"] == pytest.approx(((0.69 + 0.7) / 2 + 0.8 + 0.9) / 3)


def test_gaps_and_missing_columns_are_errors() -> None:
    with pytest.raises(UserError, match=r"dice_one_step .* has 9 gaps"):
        sequence_summary(THREE.assign(dice_one_step=np.nan))
    with pytest.raises(UserError, match="has 1 gaps"):
        worst_frame(THREE.assign(dice=[np.nan, *THREE["dice"][1:]]))
    for measure, column in ((worst_frame, "dice"), (over_contrast, "contrast"), (first_below, "dice")):
        with pytest.raises(UserError, match=f"no column {column}"):
            measure(THREE.drop(columns=column, errors="ignore"))
        with pytest.raises(UserError, match="is empty"):
            measure(THREE.assign(contrast=0.0)[:0])


def test_means_are_those_of_group_means() -> None:
    found = comparison({"a": THREE}, "a", resamples=FEW)
    assert found.loc["a", "hd95"] == pytest.approx(group_means(THREE, ["hd95"])["hd95"].mean())
