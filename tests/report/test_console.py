import io

import pandas as pd
from rich.console import Console

from lexy.evaluation.comparison import comparison
from lexy.report.console import comparison_table, summary_table


def text(summary, **settings):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summary_table(summary, "phantom, test split", **settings))
    return console.export_text()


def summary(groups=4):
    rows = {
        "dice": {"mean": 0.8126, "low": 0.7, "high": 0.9, "frames": 9, "n_undefined": 0, "note": "only 4 groups"},
        "nc_error": {"mean": 0.2, "low": float("nan"), "high": float("nan"), "frames": 7, "n_undefined": 2, "note": ""},
        "hd95_um": {"mean": float("nan"), "low": float("nan"), "high": float("nan"), "frames": 0, "n_undefined": 9},
    }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")
    return table.assign(groups=groups, n_missed=1, n_spurious=0)


def test_a_table_gives_means_intervals_and_what_was_left_out():
    shown = text(summary(), embedded=False)
    assert "0.813" in shown
    assert "0.700 to 0.900" in shown
    assert "over 4 groups" in shown
    assert "only 4 groups" in shown
    assert "1 frames missed" in shown
    assert "pixel size unknown" in shown
    assert "PHANTOM" not in shown
    (row,) = [line for line in shown.splitlines() if "nc_error" in line]
    assert row.split()[-2] == "2" or "2" in row.split()


def test_phantom_data_are_marked():
    assert "PHANTOM DATA" in text(summary(), embedded=True)


def frames(dice=0.9, groups=4, **columns):
    rows = [(f"g{g}", "v", t, dice - 0.02 * g, t / 10 - 0.3) for g in range(groups) for t in range(6)]
    table = pd.DataFrame(rows, columns=["group", "video", "frame", "dice", "contrast"])
    return table.assign(**{"hd95": 2.0, "nc_error": 0.1, "missed": False, **columns})


def compared(tables, reference, *, embedded=False):
    made = comparison_table(comparison(tables, reference, resamples=200), "clips [x], test split", embedded=embedded)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(made)
    return console.export_text()


def test_a_comparison_gives_means_with_intervals_and_what_differs():
    shown = compared({"copied [mask]": frames(0.8), "network": frames(0.9, dice_one_step=0.95)}, "network")
    copied, network = (next(line for line in shown.splitlines() if f"│ {name}" in line) for name in ("copied", "netw"))
    cells = [cell.strip() for cell in copied.split("│")[1:-1]]
    assert cells[0] == "copied [mask]"
    assert cells[2].startswith("0.770 (0.7")
    assert cells[2].endswith("*")
    assert cells[5] == "2.000 (2.000–2.000)"  # the same distance: no star
    assert (cells[1], cells[4], *cells[-2:]) == ("-", "-", "0", "0")  # no one-step Dice, nothing missed
    assert "*" not in network
    assert "clips [x], test split" in shown
    assert "over 4 groups" in shown
    assert "only 4 independent groups" in shown
    assert "PHANTOM" not in shown


def test_a_comparison_marks_phantom_data_and_leaves_out_what_there_is_not():
    shown = compared({"a": frames(groups=2)}, "a", embedded=True)
    assert "PHANTOM DATA" in shown
    assert "one step" not in shown
    assert "0.890 " in shown
    assert "no interval" in shown
    assert "nan" not in shown


def test_a_quality_that_the_reference_has_not_is_shown_without_a_star():
    shown = compared({"network": frames(0.9, dice_one_step=0.95), "copied": frames(0.8)}, "copied")
    network = next(line for line in shown.splitlines() if "│ network" in line)
    assert "0.950 (0.950–0.950) │" in network


def test_counts_of_several_seeds_are_those_of_one():
    seeds = pd.concat([frames(0.8, seed=0), frames(0.8, seed=1)])
    seeds["missed"] = (seeds["seed"] == 1) & (seeds["frame"] == 5)
    line = next(line for line in compared({"a": seeds}, "a").splitlines() if "│ a " in line)
    assert [cell.strip() for cell in line.split("│")[-3:-1]] == ["2", "0"]
