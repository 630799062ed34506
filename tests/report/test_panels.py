import numpy as np
import pandas as pd
import torch
from PIL import Image

from lexy.report.panels import draw_panels, extremes


def frames(dice):
    return pd.DataFrame({"video": [f"v{i}" for i in range(len(dice))], "frame": 0, "dice": dice})


def test_extremes_are_worst_median_and_best():
    found = extremes(frames([0.5, 0.9, 0.1, 0.7, 0.8]))
    assert found == {"worst": ("v2", 0), "median": ("v3", 0), "best": ("v1", 0)}


def test_of_few_frames_each_is_shown_once():
    assert extremes(frames([0.5])) == {"only": ("v0", 0)}
    assert extremes(frames([0.5, 0.25])) == {"worst": ("v1", 0), "best": ("v0", 0)}
    assert extremes(frames([0.5, 0.25, 0.75])) == {"worst": ("v1", 0), "median": ("v0", 0), "best": ("v2", 0)}


def test_names_of_videos_are_text_and_no_path(tmp_path):
    name = r"../../$\nothing{$/etc/a"
    masks = torch.zeros(1, 1, 1, 16, 16)
    clip = {"frames": masks, "masks": masks, "video": [name], "frame": torch.zeros(1, 1, dtype=torch.int64)}
    folder = tmp_path / "a" / "b" / "panels"
    draw_panels(lambda _: masks, [clip], {"only": (name, 0)}, folder, embedded=False)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [folder / "only.png"]


def test_a_panel_shows_what_is_too_much_and_what_is_missed(tmp_path):
    masks = torch.zeros(2, 1, 1, 32, 32)
    masks[:, :, :, 8:24, 8:16] = 1
    clip = {"frames": masks / 2, "masks": masks, "video": ["a", "b"], "frame": torch.zeros(2, 1, dtype=torch.int64)}
    shifted = masks.roll(8, dims=-1)  # half of what is predicted is wrong
    logits = {"right": 20 * masks - 10, "wrong": 20 * shifted - 10}
    pictures = {}
    for name, given in logits.items():
        (path,) = draw_panels(lambda _, given=given: given, [clip], {"worst": ("b", 0)}, tmp_path / name, embedded=True)
        pictures[name] = np.asarray(Image.open(path).convert("RGB")).astype(int)

    def count(picture, colour):
        return (np.abs(picture - np.array(colour) * 255).max(axis=2) < 12).sum()

    orange, blue = (0.84, 0.37, 0.0), (0.0, 0.45, 0.7)
    for colour in (orange, blue):
        assert count(pictures["right"], colour) == 0
        assert count(pictures["wrong"], colour) > 500
