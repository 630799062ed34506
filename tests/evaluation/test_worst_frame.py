import numpy as np
import pandas as pd
import pytest
from frame_tables import FEW, THREE, curves, frames, grids
from hypothesis import given, settings
from hypothesis import strategies as st

from lexy.errors import UserError
from lexy.evaluation.bootstrap import Interval
from lexy.evaluation.summary import over_time, profile
from lexy.evaluation.worst_frame import worst_frame, worst_of_curves


def test_worst_frame_is_the_minimum_of_the_mean_and_not_the_mean_of_the_minima() -> None:
    table = curves([[1.0, 0.5], [0.0, 0.75], [0.8, 0.4]])
    assert worst_frame(table).mean == pytest.approx(0.55)
    assert worst_frame(table).mean == pytest.approx(over_time(table).min())


def test_of_distances_and_errors_the_largest_is_the_worst() -> None:
    table = curves([[1.0, 0.5], [0.0, 0.75], [0.8, 0.4]])
    assert worst_frame(table, "hd95").mean == pytest.approx(4.5)
    with pytest.raises(UserError, match="no worst frame of frame"):
        worst_frame(table, "frame")


def test_frame_then_video_then_seed_then_group() -> None:
    table = frames(("x", "a", 0, 1.0), ("x", "b", 0, 0.5), ("y", "c", 0, 0.25), ("y", "c", 1, 1.0), ("x", "a", 1, 0.75))
    assert worst_frame(table).mean == 0.5  # x: 0.75, y: 0.25
    seeds = pd.concat([table.assign(seed=1), table.assign(seed=2, dice=0.0)])
    assert worst_frame(seeds).mean == 0.25


def test_interval_is_the_percentiles_of_the_worst_frames_of_resampled_groups() -> None:
    values = np.random.default_rng(1).random((8, 5))
    found = worst_frame(curves(values))
    draws = np.random.default_rng(2).integers(8, size=(20_000, 8))
    worst = values[draws].mean(axis=1).min(axis=1)
    assert (found.low, found.high) == pytest.approx(np.quantile(worst, [0.025, 0.975]), abs=0.01)
    assert found.method == "percentile"
    assert worst_frame(curves(values).sample(frac=1, random_state=3)) == found
    assert worst_frame(curves(values), seed=1).low != found.low
    assert worst_frame(curves(values), confidence=0.5).low > found.low


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table = curves(np.random.default_rng(1).random((8, 5)))
    whole = worst_frame(table, resamples=FEW)
    monkeypatch.setattr("lexy.evaluation.worst_frame.DRAWS_AT_ONCE", 50)
    assert worst_frame(table, resamples=FEW)[:3] == pytest.approx(whole[:3])


def test_groups_without_a_frame_or_a_value_are_left_out_there() -> None:
    table = frames(*[(g, g, t, 0.5) for g in "abc" for t in range(3)], nc_error=[0.1, np.nan, 0.2] * 2 + [0.4, 0.3, 0])
    assert worst_frame(table, "nc_error", resamples=FEW).mean == pytest.approx(0.3)  # of c alone; frame 0: 0.2
    short = THREE[~((THREE["group"] == "g02") & (THREE["frame"] == 2))]
    found = worst_frame(short, resamples=FEW)
    assert found.mean == 0.5
    assert np.isfinite([found.low, found.high]).all()
    nothing = worst_frame(THREE.assign(nc_error=np.nan), "nc_error")
    assert np.isnan(nothing.mean)
    assert nothing.method == "none"


def test_an_interval_needs_three_groups() -> None:
    found = worst_frame(curves([[0.5, 0.25], [1.0, 0.5]]))
    assert (found.mean, found.method) == (0.375, "none")
    assert np.isnan([found.low, found.high]).all()


@settings(max_examples=25)
@given(grids)
def test_worst_frame_lies_between_the_minimum_and_the_mean(values: list[list[float]]) -> None:
    table = curves(values)
    found = worst_frame(table, resamples=FEW)
    tiny = 1e-12
    assert table["dice"].min() - tiny <= found.mean <= np.mean(values) + tiny
    if found.method != "none":
        assert table["dice"].min() - tiny <= found.low <= found.high <= table["dice"].max() + tiny
    distances = worst_frame(table, "hd95", resamples=FEW)
    assert distances.mean == pytest.approx(10 * (1 - found.mean))


@settings(max_examples=20)
@given(st.floats(0, 1), st.integers(3, 6))
def test_a_constant_table_has_one_value(value: float, groups: int) -> None:
    found = worst_frame(curves([[value] * 4] * groups), resamples=FEW)
    assert found[:3] == pytest.approx((value, value, value))
    assert found.method == "constant"


def minus(first: np.ndarray, second: np.ndarray) -> Interval:
    tables = [curves(values) for values in (first, second)]
    one, other = (profile(table, "dice", table["frame"]) for table in tables)
    return worst_of_curves([(one, other)])[0]


def test_worst_frames_are_subtracted_in_the_same_resamples() -> None:
    values = np.random.default_rng(1).random((8, 5)) / 2
    found = minus(values + 0.25, values)
    assert found[:3] == pytest.approx([0.25] * 3)
    assert found.method == "constant"


def test_each_method_has_its_own_worst_time() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random((8, 5)), rng.random((8, 5))
    found = minus(first, second)
    assert found.mean == pytest.approx(first.mean(axis=0).min() - second.mean(axis=0).min())
    draws = np.random.default_rng(2).integers(8, size=(20_000, 8))
    drawn = first[draws].mean(axis=1).min(axis=1) - second[draws].mean(axis=1).min(axis=1)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.015)
    back = minus(second, first)
    assert back[:3] == pytest.approx([-found.mean, -found.high, -found.low])
