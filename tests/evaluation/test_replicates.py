import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lexy.errors import UserError
from lexy.evaluation.replicates import QUANTITIES, Entry, pooled, read_table, statistics


def table(folder, text):
    path = folder / "videos.csv"
    path.write_text(text)
    return path


def test_rows_are_completed_by_what_holds_for_all(tmp_path):
    path = table(tmp_path, "video,condition,replicate,light_on,channel\na.tif,wild,1,60,\nsub/b.tif,mutant,2,,1\n")
    first, second = read_table(path, {"light_on": 90.0, "diameter": 40.0, "channel": 0})
    assert first == Entry(str(tmp_path / "a.tif"), "wild", "1", light_on=60.0, channel=0, diameter=40.0)
    assert (second.video, second.light_on, second.channel) == (str(tmp_path / "sub" / "b.tif"), 90.0, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,condition\na,b\n", "has no column 'replicate'"),
        ("video,condition,replicate,lite\na,b,c,1\n", "column 'lite' is not known"),
        ("video,condition,replicate\n", "lists no video"),
        ("video,condition,replicate\na,,1\n", "row 2: condition is empty"),
        ("video,condition,replicate\na,b\n", "row 2: has more or fewer cells"),
        ("video,condition,replicate\na,b,1\na,b,1,5\n", "row 3: has more or fewer cells"),
        ("video,condition,replicate,diameter\na,b,1,-3\n", "row 2: diameter='-3' is not a positive number"),
        ("video,condition,replicate,light_on\na,b,1,soon\n", "row 2: light_on='soon' is not a number"),
        ("video,condition,replicate\na,b,1\nc,b,2\n./a,x,1\n", "row 4: its video is that of row 2"),
        ("video,condition,replicate,channel\na,b,1,\na,b,2,0\n", "row 3: its video is that of row 2"),
        ("video,condition,replicate,channel\na,b,1,red\n", "row 2: channel='red' is not a number from 0"),
    ],
)
def test_mistakes_name_row_and_column(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_table(table(tmp_path, text), {})


def test_a_mask_lies_where_the_table_lies(tmp_path):
    path = table(tmp_path, "video,condition,replicate,mask\na,b,1,12=m/roi.zip\nc,b,2,\n")
    assert [entry.mask for entry in read_table(path, {})] == [f"12={tmp_path / 'm' / 'roi.zip'}", ""]


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_table(tmp_path / "none.csv", {})


def cells(condition, replicates, trust=True):
    """Export half-times of the cells of each replicate."""
    rows = [
        {"condition": condition, "replicate": f"r{number}", "trust": trust, "export_half_time": value}
        for number, values in enumerate(replicates)
        for value in values
    ]
    return pd.DataFrame(rows).assign(**dict.fromkeys(QUANTITIES[1:], math.nan))


def export(result):
    return result[result["quantity"] == "export_half_time"]


def test_each_replicate_counts_once():
    data = pd.concat([cells("a", [[10, 20], [30], [40]]), cells("a", [[1000]], trust=False)])
    (row,) = export(statistics(data, set(data["condition"]))[0]).itertuples()
    assert row.mean == pytest.approx((15 + 30 + 40) / 3)
    half = stats.t.ppf(0.975, 2) * np.std([15, 30, 40], ddof=1) / math.sqrt(3)
    assert (row.low, row.high) == pytest.approx((row.mean - half, row.mean + half))
    assert (row.replicates, row.cells) == (3, 4)


def test_two_replicates_have_no_interval_and_no_test():
    conditions, differences = statistics(pd.concat([cells("a", [[1], [2]]), cells("b", [[3], [4], [5]])]), {"a", "b"})
    assert export(conditions).set_index("condition").loc["a", ["low", "high"]].isna().all()
    (row,) = export(differences).itertuples()
    assert row.difference == pytest.approx(1.5 - 4)
    assert math.isnan(row.p)


def test_conditions_are_compared_by_their_replicates():
    one, other = [[1], [2], [3]], [[5], [6], [8]]
    (row,) = export(statistics(pd.concat([cells("a", one), cells("b", other)]), {"a", "b"})[1]).itertuples()
    assert row.p == pytest.approx(stats.ttest_ind([1, 2, 3], [5, 6, 8], equal_var=False).pvalue)
    assert row.p_holm == pytest.approx(row.p)  # the only test of the table


def test_a_condition_without_a_trusted_cell_is_still_there():
    (row,) = export(statistics(cells("a", [[1]], trust=False), {"a"})[0]).itertuples()
    assert (row.condition, row.replicates, row.cells) == ("a", 0, 0)


def test_pooled_tables_say_where_each_row_comes_from():
    entry = Entry("a.tif", "wild", "1")
    nuclei, fits = pooled(
        {entry: (pd.DataFrame({"video": ["a"], "id": [1]}), pd.DataFrame({"video": ["a"], "r2": [1]}))}
    )
    assert nuclei.columns.tolist() == ["condition", "replicate", "video", "id"]
    assert fits.iloc[0].tolist() == ["wild", "1", "a.tif", 1]


def test_a_condition_without_a_nucleus_is_not_left_out():
    conditions, _ = statistics(cells("a", [[1], [2]]).iloc[:0], {"a", "b"})
    assert set(conditions["condition"]) == {"a", "b"}
    assert (conditions["replicates"] == 0).all()
    assert {"mean", "low", "high", "unit"} <= set(conditions)


def test_times_have_their_unit_and_other_quantities_have_none():
    conditions, _ = statistics(cells("a", [[1], [2]]).assign(unit="s"), {"a"})
    units = conditions.set_index("quantity")["unit"]
    assert units.to_dict() == {name: "s" if name.endswith("time") else "" for name in QUANTITIES}


def test_videos_without_a_nucleus_do_not_hide_those_with_one():
    some = cells("a", [[1], [3]]).drop(columns=["condition", "replicate"]).assign(video="a", unit="s")
    tables = {Entry("a", "a", "1"): (some, some), Entry("b", "b", "1"): (some[:0], some[:0].astype(object))}
    conditions, _ = statistics(pooled(tables)[1], {"a", "b"})
    rows = export(conditions).set_index("condition")
    assert rows.loc["a", ["mean", "replicates", "cells"]].tolist() == [2, 1, 2]
    assert rows.loc["b", ["replicates", "cells"]].tolist() == [0, 0]
