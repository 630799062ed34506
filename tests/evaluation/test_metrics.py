import pandas as pd
from frame_tables import all_metrics

from lexy.evaluation.metrics import METRICS, Metric, frame_metrics, in_order, metric, table_metrics


def test_the_list_is_whole():
    names = [each.name for each in METRICS]
    assert len(set(names)) == len(names)
    assert all(each.compute for each in METRICS if each.validated)
    assert all(bool(each.compute) != each.of_sequences for each in METRICS)
    assert metric("hd95_um").title == "HD95, µm"
    assert metric("dice").title == "Dice"
    assert (metric("hd95").text(1.234), metric("dice").text(0.5, "+")) == ("1.23", "+0.500")


def test_names_are_ordered_as_the_list_and_others_follow():
    assert [each.name for each in in_order(["own", "nc_error", "dice", "other"])] == [
        "dice",
        "nc_error",
        "own",
        "other",
    ]


def test_what_describes_a_frame_is_no_metric_and_what_is_not_listed_is_one():
    table = pd.DataFrame({"frame": [0], "contrast": [0.1], "tp": [3.0], "missed": [False], "own": [0.5], "dice": [1.0]})
    assert [each.name for each in table_metrics(table)] == ["dice", "own"]
    assert metric("own") == Metric("own", "own", may_be_undefined=True)
    assert frame_metrics(all_metrics(dice_one_step=0.9)) == [each.name for each in METRICS if each.compute]
