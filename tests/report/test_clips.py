import pandas as pd
import pytest
import torch
from PIL import Image

from lexy.report import clips as report
from lexy.report.clips import draw_clips


@pytest.mark.parametrize(
    ("dice", "shown"),
    [
        ([0.5], ["only: Dice 0.500"]),
        ([0.5, 0.25], ["worst: Dice 0.250", "best: Dice 0.500"]),
        ([0.5, 0.25, 0.75, 0.5], ["worst: Dice 0.250", "median: Dice 0.500", "best: Dice 0.750"]),
    ],
)
def test_each_clip_is_shown_once(tmp_path, monkeypatch, dice, shown):
    names = [f"v{i}" for i in range(len(dice))]
    masks = torch.zeros(len(dice), 2, 1, 8, 8)
    clip = {
        "frames": masks,
        "masks": masks,
        "video": names,
        "group": names,
        "frame": torch.arange(2).expand(len(dice), 2),
    }
    rows = pd.DataFrame({"group": names, "video": names, "dice": dice})
    drawn = []
    monkeypatch.setattr(report, "draw_strips", lambda *arguments: drawn.append(arguments))
    paths = draw_clips(lambda _: masks, [clip], rows, tmp_path / "clips.png", embedded=False)
    assert Image.open(paths[1]).n_frames == 2
    assert [title.split("\n")[0] for title in drawn[0][3]] == shown
    assert len(drawn[0][0]) == len(shown)
