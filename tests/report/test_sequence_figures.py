import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from lexy.errors import UserError
from lexy.evaluation.comparison import comparison
from lexy.report.sequence_figures import COLOURS, MARKERS, comparison_table, draw_curves


def frames(dice=0.9, groups=4, **columns):
    rows = [(f"g{g}", "v", t, dice - 0.02 * g, t / 10 - 0.3) for g in range(groups) for t in range(6)]
    table = pd.DataFrame(rows, columns=["group", "video", "frame", "dice", "contrast"])
    return table.assign(**{"hd95": 2.0, "nc_error": 0.1, "missed": False, **columns})


def picture(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def count(pixels, colour):
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(pixels - wanted).max(axis=2) < 12).sum())


def test_a_line_for_each_method_and_a_dashed_one_where_it_has_one_step(tmp_path):
    tables = {"copied mask": frames(0.8), "network [a] $x": frames(0.9)}
    path = draw_curves(tables, tmp_path / "new" / "curves.png", embedded=False)
    assert path == tmp_path / "new" / "curves.png"
    plain = picture(path)
    assert [count(plain, colour) > 500 for colour in COLOURS[:3]] == [True, True, False]
    tables["network [a] $x"] = frames(0.9, dice_one_step=0.95)
    dashed = picture(draw_curves(tables, path, embedded=False))
    assert count(dashed, COLOURS[1]) > count(plain, COLOURS[1]) + 300
    assert count(dashed, COLOURS[0]) < count(plain, COLOURS[0]) * 1.2


def test_phantom_data_are_marked(tmp_path):
    marked, bare = (
        picture(draw_curves({"a": frames()}, tmp_path / f"{embedded}.png", embedded=embedded))
        for embedded in (True, False)
    )
    assert (marked[:30] < 100).any()
    assert not (bare[:5] < 100).any()


def test_unknown_contrast_is_told_and_may_be_all(tmp_path):
    known = picture(draw_curves({"a": frames()}, tmp_path / "a.png", embedded=False))
    none = picture(draw_curves({"a": frames(contrast=np.nan)}, tmp_path / "b.png", embedded=False))
    assert count(none, COLOURS[0]) < count(known, COLOURS[0])


def test_methods_that_cannot_be_told_apart_are_an_error(tmp_path):
    for number in (0, len(COLOURS) * len(MARKERS) + 1):
        with pytest.raises(UserError, match=f"{number} methods"):
            draw_curves(dict.fromkeys(map(str, range(number)), frames()), tmp_path / "a.png", embedded=False)
    with pytest.raises(UserError, match="no column contrast"):
        draw_curves({"a": frames().drop(columns="contrast")}, tmp_path / "a.png", embedded=False)
    assert list(tmp_path.iterdir()) == []


def text(tables, reference, *, embedded=False):
    made = comparison_table(comparison(tables, reference, resamples=200), "clips [x], test split", embedded=embedded)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(made)
    return console.export_text()


def test_the_console_shows_means_with_intervals_and_what_differs():
    shown = text({"copied [mask]": frames(0.8), "network": frames(0.9, dice_one_step=0.95)}, "network")
    copied, network = (next(line for line in shown.splitlines() if f"│ {name}" in line) for name in ("copied", "netw"))
    cells = [cell.strip() for cell in copied.split("│")[1:-1]]
    assert cells[0] == "copied [mask]"
    assert cells[1].startswith("0.770 (0.7")
    assert cells[1].endswith("*")
    assert cells[3] == "2.000 (2.000–2.000)"  # the same distance: no star
    assert cells[5:] == ["-", "-", "0", "0"]
    assert "*" not in network
    assert "clips [x], test split" in shown
    assert "over 4 groups" in shown
    assert "only 4 independent groups" in shown
    assert "PHANTOM" not in shown


def test_the_console_marks_phantom_data_and_leaves_out_what_there_is_not():
    shown = text({"a": frames(groups=2)}, "a", embedded=True)
    assert "PHANTOM DATA" in shown
    assert "one step" not in shown
    assert "0.890 " in shown
    assert "no interval" in shown
    assert "nan" not in shown


def test_a_quality_that_the_reference_has_not_is_shown_without_a_star():
    shown = text({"network": frames(0.9, dice_one_step=0.95), "copied": frames(0.8)}, "copied")
    network = next(line for line in shown.splitlines() if "│ network" in line)
    assert "0.950 (0.950–0.950) │" in network


def test_counts_of_several_seeds_are_those_of_one():
    seeds = pd.concat([frames(0.8, seed=0), frames(0.8, seed=1)])
    seeds["missed"] = (seeds["seed"] == 1) & (seeds["frame"] == 5)
    line = next(line for line in text({"a": seeds}, "a").splitlines() if "│ a " in line)
    assert [cell.strip() for cell in line.split("│")[-3:-1]] == ["2", "0"]
