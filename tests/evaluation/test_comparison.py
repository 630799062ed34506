import numpy as np
import pandas as pd
import pytest
from frame_tables import FEW, THREE, all_metrics, frames
from scipy.stats import wilcoxon

from lexy.errors import UserError
from lexy.evaluation.comparison import WORST, comparison, differences, summaries
from lexy.evaluation.group_values import all_curves, all_group_values, group_values
from lexy.evaluation.metrics import METRICS
from lexy.evaluation.sequences import whole_summary
from lexy.evaluation.summary import group_means, summarise
from lexy.evaluation.worst_frame import worst_of_curves

NUMBERS = ["mean", "low", "high"]
COMPARED = [metric.name for metric in METRICS if metric.compared]


def test_comparison_by_hand() -> None:
    copied = THREE
    network = THREE.assign(dice=THREE["dice"] * 0.5 + 0.5, hd95=1.0, dice_one_step=1.0)
    found = comparison({"copied mask": copied, "network": network}, "network", resamples=FEW)
    assert found.index.tolist() == ["copied mask", "network"]
    row = found.loc["copied mask"]
    assert row[["dice", "dice_worst_frame", "nc_error"]].tolist() == pytest.approx([5.25 / 9, 0.5, 0.1])
    assert row[["dice_difference", "dice_worst_frame_difference"]].tolist() == pytest.approx([3.75 / 18, 0.25])
    assert row["hd95_difference"] == pytest.approx(1 - 37.5 / 9)
    assert row[["dice_one_step", "dice_one_step_difference", "dice_drop"]].isna().all()
    network_row = found.loc["network"]
    assert network_row["dice_drop"] == pytest.approx(1 - (5.25 / 18 + 0.5))
    for quality in set(COMPARED) - {"hd95_um"}:  # the pixel size is unknown here
        names = [f"{quality}_difference{end}" for end in ("", "_low", "_high")]
        assert network_row[names].tolist() == [0, 0, 0]
    expected = summarise(copied, resamples=FEW).loc["dice", ["low", "high"]]
    assert row[["dice_low", "dice_high"]].tolist() == expected.tolist()
    assert row["dice_difference_low"] <= row["dice_difference"] <= row["dice_difference_high"]
    assert row[["reference", "groups", "frames", "n_missed", "nc_error_undefined"]].tolist() == ["network", 3, 9, 1, 0]
    assert not any("one_step" in name or "drop" in name for name in comparison({"a": copied}, "a", resamples=FEW))


def test_stills_have_no_worst_frame() -> None:
    stills = THREE[THREE["frame"] == 0]
    assert not any("worst" in name for name in comparison({"a": stills, "b": stills}, "a", resamples=FEW))


def test_comparison_says_which_method_does_not_fit() -> None:
    with pytest.raises(UserError, match="no method c to compare with; there are: a, b"):
        comparison({"a": THREE, "b": THREE}, "c")
    with pytest.raises(UserError, match="a against b: runs are compared on the same groups"):
        comparison({"a": THREE, "b": THREE[THREE["group"] != "g02"]}, "a", resamples=FEW)
    with pytest.raises(UserError, match=r"a against b: .* has no column hd95"):
        comparison({"a": THREE, "b": THREE.drop(columns="hd95")}, "a", resamples=FEW)
    with pytest.raises(UserError, match="a against b: worst frames"):
        comparison({"a": THREE, "b": THREE[THREE["frame"] > 0]}, "a", resamples=FEW)


def test_a_reference_without_one_step_has_no_difference_to_it() -> None:
    found = comparison({"a": THREE, "b": THREE.assign(dice_one_step=1.0)}, "a", resamples=FEW)
    assert found.loc["b", "dice_one_step"] == 1.0
    assert np.isnan(found.loc["a", "dice_one_step"])
    assert "dice_one_step_difference" not in found
    assert "dice_difference" in found


def test_distances_in_micrometres_where_the_pixel_size_is_known() -> None:
    known = THREE.assign(hd95_um=THREE["hd95"] * 0.5)
    found = comparison({"a": known, "b": known.assign(hd95_um=1.0)}, "a", resamples=FEW)
    assert found.loc["a", "hd95_um"] == pytest.approx(0.5 * found.loc["a", "hd95"])
    assert found.loc["b", "hd95_um_difference"] == pytest.approx(found.loc["a", "hd95_um"] - 1)
    unknown = THREE.assign(hd95_um=np.nan)
    assert not any("_um" in name for name in comparison({"a": unknown, "b": unknown}, "a", resamples=FEW))


def test_a_reference_without_any_value_has_an_undefined_difference() -> None:
    """A network that misses every nucleus has no N/C error; its baselines have one."""
    found = comparison({"a": THREE.assign(nc_error=np.nan), "b": THREE}, "a", resamples=FEW)
    assert np.isnan(found.loc["a", "nc_error"])
    assert found.loc["b", "nc_error"] == pytest.approx(0.1)
    assert found.loc["b", ["nc_error_difference", "nc_error_difference_low"]].isna().all()


def test_counts_are_those_of_one_seed() -> None:
    seeds = pd.concat([THREE.assign(seed=seed) for seed in range(3)])
    seeds.loc[(seeds["seed"] == 2) & seeds["missed"], "missed"] = False
    seeds.loc[(seeds["seed"] == 0) & (seeds["frame"] == 0), "nc_error"] = np.nan
    found = comparison({"once": THREE, "three times": seeds}, "once", resamples=FEW)
    names = ["groups", "seeds", "frames", "n_missed", "nc_error_undefined"]
    assert found.loc["once", names].tolist() == [3, 1, 9, 1, 0]
    assert found.loc["three times", names].tolist() == pytest.approx([3, 3, 9, 2 / 3, 1])


def test_summaries_say_what_the_summary_of_a_run_says() -> None:
    one = all_metrics(dice_one_step=0.9)
    expected = whole_summary(one)
    found = summaries({"a": group_values(one)}, all_curves({"a": one})).set_index("metric")
    assert set(found.index) == set(expected.index)
    found = found.loc[expected.index]
    np.testing.assert_allclose(found[NUMBERS].astype(float), expected[NUMBERS].astype(float), rtol=1e-12)
    assert (found["groups"] == expected["groups"]).all()
    assert found["note"].iloc[0] == "only 12 independent groups: the interval is a rough one"
    stills = all_metrics(length=1)
    found = summaries({"a": group_values(stills)}, all_curves({"a": stills}), resamples=FEW)
    assert set(found["metric"]) == {metric.name for metric in METRICS if metric.compute}


def test_differences_are_those_of_comparison_turned_round() -> None:
    tables = {name: all_metrics(seed=seed) for seed, name in enumerate("abc")}
    values = all_group_values(tables)
    found = differences(values, all_curves(tables), "a", ["dice", "hd95", WORST], resamples=FEW)
    assert list(found["row"]) == ["b", "b", "b", "c", "c", "c"]
    beside = comparison(tables, "a", resamples=FEW)
    for row in found.itertuples():
        ends = [beside.loc[row.row, f"{row.metric}_difference{end}"] for end in ("", "_high", "_low")]
        assert [row.difference, row.low, row.high] == pytest.approx([-value for value in ends], rel=1e-9)
        if row.metric == WORST:
            assert np.isnan([row.p, row.p_holm, row.effect]).all()
        else:
            paired = (values[row.row] - values["a"])[row.metric]
            assert (row.difference, row.p) == pytest.approx((paired.mean(), wilcoxon(paired).pvalue))
            assert row.groups == 12
    dice = found[found["metric"] == "dice"]
    assert list(dice["comparisons"]) == [2, 2]
    assert dice["p_holm"].min() == pytest.approx(min(1.0, 2 * dice["p"].min()))


def test_differences_are_paired_by_group() -> None:
    baseline = all_metrics(groups=20)
    rng = np.random.default_rng(5)
    change = pd.Series(rng.normal(0.1, 0.1, 20), index=sorted(baseline["group"].unique()))
    better = baseline.assign(dice=baseline["dice"] + baseline["group"].map(change))
    values = {"a": group_means(baseline, ["dice"]), "b": group_means(better, ["dice"])}
    (row,) = differences(values, {}, "a").itertuples()
    assert row.difference == pytest.approx(change.mean())
    assert row.low < change.mean() < row.high
    (back,) = differences(values, {}, "b").itertuples()
    assert (back.difference, back.effect) == pytest.approx((-row.difference, -row.effect))
    (same,) = differences(values | {"b": values["a"]}, {}, "a").itertuples()
    assert (same.difference, same.low, same.high, same.p, same.effect) == (0, 0, 0, 1, 0)


def test_only_shared_groups_are_compared_and_the_others_counted() -> None:
    first, second = (all_metrics(seed=seed) for seed in (0, 1))
    values = {"a": group_values(first), "b": group_values(second[second["group"] > "g02"])}
    row = differences(values, {}, "a", ["dice"], resamples=FEW).iloc[0]
    assert (row["groups"], row["n_unpaired"]) == (9, 3)
    first = first[(first["group"] != "g11") & (first["frame"] > 0)]
    curves_of = all_curves({"a": first, "b": second})
    row = differences(values, curves_of, "a", resamples=FEW).set_index("metric").loc[WORST]
    common = second[(second["group"] != "g11") & (second["frame"] > 0)]
    own, base = all_curves({"b": common, "a": first}).values()
    assert row["difference"] == pytest.approx(worst_of_curves([(own, base)], resamples=FEW)[0].mean)
    assert (row["groups"], row["n_unpaired"]) == (11, 1)
    with pytest.raises(UserError, match="no row z to compare with; there are: a, b"):
        differences(values, {}, "z")
    assert differences({"a": values["a"]}, {}, "a").empty


def test_an_older_table_without_a_column_of_ones_own_has_a_gap_there() -> None:
    found = comparison({"a": THREE.assign(own=0.5), "b": THREE}, "a", resamples=FEW)
    assert found["own"].tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
    assert "own_difference" in found


def test_frames_of_other_groups_are_named() -> None:
    one = frames(*[(name, "v", 0, 0.5) for name in "abc"])
    with pytest.raises(UserError, match="not in both tables: b, c"):
        comparison({"one": one, "other": one[:1]}, "one", resamples=FEW)
