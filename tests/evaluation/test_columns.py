import numpy as np
import pandas as pd
import pytest
from frame_tables import THREE, curves, frames

from lexy.errors import UserError
from lexy.evaluation.bootstrap import bootstrap_mean
from lexy.evaluation.columns import bootstrap_means, profile
from lexy.evaluation.compare import compare
from lexy.evaluation.comparison import WORST
from lexy.evaluation.folds import join
from lexy.evaluation.rows import all_curves, all_group_values, differences, group_values, holm, summaries
from lexy.evaluation.sequences import sequence_summary
from lexy.evaluation.summary import METRICS, summarise
from lexy.evaluation.worst_frame import compare_worst_frame

FEW = 500
NUMBERS = ["mean", "low", "high"]


def table(groups=12, length=5, seed=0, **columns):
    rng = np.random.default_rng(seed)
    rows = curves(rng.beta(5, 2, (groups, length)))
    return rows.assign(**{name: rng.random(len(rows)) for name in METRICS if name not in rows} | columns)


def test_many_columns_have_the_digits_of_one():
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.gamma(2.0, size=(23, 5)), columns=list("abcde"))
    values.loc[:4, "b"], values.loc[2:, "c"], values["d"] = np.nan, np.nan, 0.25
    values["f"], values["g"] = np.nan, np.where(np.arange(23) == 3, 1.0, 0.0)
    found = bootstrap_means(values, resamples=FEW, seed=3)
    for name in values:
        known = values[name].dropna().to_numpy()
        expected = bootstrap_mean(known, 0.95, FEW, 3)
        np.testing.assert_allclose(found.loc[name, NUMBERS].astype(float), expected[:3], rtol=1e-9)
        assert (found.loc[name, "method"], found.loc[name, "groups"]) == (expected.method, len(known))


def test_a_profile_averages_videos_before_groups():
    rows = frames(("a", "v", 0, 1.0), ("a", "v", 0, 0.0), ("a", "w", 0, 1.0), ("b", "v", 1, 0.25))
    found = profile(rows, "dice", rows["frame"])
    assert found.loc["a", 0] == 0.75
    assert found.loc["b", 1] == 0.25
    assert np.isnan(found.loc["b", 0])
    seeds = pd.concat([THREE.assign(seed=0), THREE.assign(seed=1, dice=THREE["dice"] / 2)])
    np.testing.assert_allclose(
        profile(seeds, "dice", seeds["frame"]), 0.75 * profile(THREE, "dice", THREE["frame"]), rtol=1e-12
    )


def test_rows_say_what_the_summary_of_a_run_says():
    one = table(dice_one_step=0.9)
    expected = pd.concat([summarise(one, resamples=FEW), sequence_summary(one, resamples=FEW)])
    found = summaries({"a": group_values(one)}, all_curves({"a": one}), resamples=FEW).set_index("metric")
    assert set(found.index) == set(expected.index)
    found = found.loc[expected.index]
    np.testing.assert_allclose(found[NUMBERS].astype(float), expected[NUMBERS].astype(float), rtol=1e-9)
    assert (found["groups"] == expected["groups"]).all()
    assert found["note"].iloc[0] == "only 12 independent groups: the interval is a rough one"


def test_many_tables_at_once_are_what_each_is_alone():
    seeds = pd.concat([table(seed=2).assign(seed=0), table(seed=3).assign(seed=5)])
    tables = {"a": table(), "stills": table(length=1), "b": table(seed=1, hd95_um=np.nan), "seeds": seeds}
    tables |= {"one": table(seed=4, dice_one_step=0.9), "short": table(length=3, groups=4)}
    found = all_group_values(tables)
    assert list(found) == list(tables)
    for name, one in tables.items():
        pd.testing.assert_frame_equal(found[name], group_values(one), check_exact=True)
    curves_of = all_curves(tables)
    assert set(curves_of) == set(tables) - {"stills"}
    for name, one in tables.items():
        if name == "stills":
            continue
        expected = profile(one, "dice", one["frame"])
        pd.testing.assert_frame_equal(curves_of[name], expected, check_exact=True, check_names=False)


def test_stills_have_no_worst_frame():
    one = table(length=1)
    found = summaries({"a": group_values(one)}, all_curves({"a": one}), resamples=FEW)
    assert set(found["metric"]) == set(METRICS)


def test_differences_are_those_of_compare():
    tables = {name: table(seed=seed) for seed, name in enumerate(("a", "b", "c"))}
    values = {name: group_values(one) for name, one in tables.items()}
    found = differences(values, all_curves(tables), "a", ["dice", "hd95", WORST], resamples=FEW)
    assert list(found["row"]) == ["b", "b", "b", "c", "c", "c"]
    for row in found[found["metric"] == WORST].itertuples():
        expected = compare_worst_frame(tables[row.row], tables["a"], resamples=FEW).iloc[0]
        for name in ("difference", "low", "high", "groups"):
            assert getattr(row, name) == pytest.approx(expected[name], rel=1e-9)
        assert np.isnan([row.p, row.p_holm, row.effect]).all()
    for row in found[found["metric"] != WORST].itertuples():
        expected = compare(tables[row.row], tables["a"], row.metric, resamples=FEW).iloc[0]
        for name in ("difference", "low", "high", "p", "effect", "groups"):
            assert getattr(row, name) == pytest.approx(expected[name], rel=1e-9)
    dice = found[found["metric"] == "dice"]
    assert list(dice["comparisons"]) == [2, 2]
    assert dice["p_holm"].min() == pytest.approx(min(1.0, 2 * dice["p"].min()))


def test_only_shared_groups_are_compared_and_the_others_counted():
    first, second = (table(seed=seed) for seed in (0, 1))
    values = {"a": group_values(first), "b": group_values(second[second["group"] > "g02"])}
    row = differences(values, {}, "a", ["dice"], resamples=FEW).iloc[0]
    assert (row["groups"], row["n_unpaired"]) == (9, 3)
    first = first[(first["group"] != "g11") & (first["frame"] > 0)]
    curves_of = all_curves({"a": first, "b": second})
    row = differences(values, curves_of, "a", resamples=FEW).set_index("metric").loc[WORST]
    common = second[(second["group"] != "g11") & (second["frame"] > 0)]
    assert row["difference"] == pytest.approx(compare_worst_frame(common, first, resamples=FEW)["difference"].iloc[0])
    assert (row["groups"], row["n_unpaired"]) == (11, 1)
    with pytest.raises(UserError, match="no row z to compare with; there are: a, b"):
        differences(values, {}, "z")
    assert differences({"a": values["a"]}, {}, "a").empty


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, np.nan, 0.03])), [0.03, 0.06, np.nan, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.9])), [1, 1])
    assert len(holm(np.array([]))) == 0


def test_folds_share_no_group():
    one, other = (THREE.assign(run=name, data="d", seed=0) for name in "xy")
    with pytest.raises(UserError, match="g00, g01, g02: tested in more than one"):
        join([one, other])
    other = other.assign(group=other["group"] + "'")
    assert join([one, other])["group"].nunique() == 6
    with pytest.raises(UserError, match="different data"):
        join([one, other.assign(data="e")])
