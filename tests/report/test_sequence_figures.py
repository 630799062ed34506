import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lexy.errors import UserError
from lexy.report.sequence_figures import COLOURS, MARKERS, draw_curves


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
