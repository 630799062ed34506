import io

import pandas as pd
from rich.console import Console

from lexy.report.console import summary_table


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
