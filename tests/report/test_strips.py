import numpy as np
import pytest
from PIL import Image

from lexy.report.strips import BOTH, PREDICTION, TRUTH, _tile, draw_strips

MASKS = [np.zeros((9, 9), bool) for _ in range(2)]
MASKS[0][2:7, 1:6] = True
MASKS[1][2:7, 3:8] = True


def test_a_tile_shows_the_frame_and_below_it_the_outlines():
    frame = np.linspace(0, 0.8, 81).reshape(9, 9)
    tile = _tile(frame, MASKS)
    assert tile.shape == (18, 10, 3)
    np.testing.assert_array_equal(tile[:9, :9], frame[:, :, None].repeat(3, axis=2))
    assert (tile[:, 9] == 0.5).all()
    drawn = tile[9:, :9]
    assert tuple(drawn[4, 1]) == TRUTH
    assert tuple(drawn[4, 7]) == PREDICTION
    assert tuple(drawn[2, 4]) == BOTH
    assert tuple(drawn[4, 4]) == (frame[4, 4],) * 3  # inside of both
    outlines = 2 * (5 * 4 - 4)
    shared = (drawn == BOTH).all(2).sum()
    assert sum((drawn == colour).all(2).sum() for colour in (TRUTH, PREDICTION)) + 2 * shared == outlines


def test_without_a_prediction_there_is_one_colour():
    drawn = _tile(np.zeros((9, 9)), MASKS[:1])
    assert (drawn == TRUTH).all(2).sum() == 16
    assert not (drawn == PREDICTION).all(2).any()


@pytest.mark.parametrize("predicted", [False, True])
def test_a_sheet_of_clips_of_any_length(tmp_path, predicted):
    rng = np.random.default_rng(0)
    frames = [rng.random((time, 24, 20)) for time in (1, 12)]
    masks = [clip > 0.5 for clip in frames]
    contrasts = [np.linspace(-1, 1, len(clip)) for clip in frames]
    path = tmp_path / "new" / "strips.png"
    draw_strips(frames, masks, contrasts, ["a", r"$\no{$"], r"title $\no{$", path, masks if predicted else None)
    with Image.open(path) as sheet:
        assert sheet.width == 1320
    assert [file.name for file in path.parent.iterdir()] == ["strips.png"]


def test_every_clip_needs_its_prediction(tmp_path):
    clip = np.zeros((2, 8, 8))
    with pytest.raises(ValueError, match="shorter"):
        draw_strips([clip] * 2, [clip] * 2, [clip[:, 0, 0]] * 2, ["a", "b"], "t", tmp_path / "s.png", [clip])
    assert list(tmp_path.iterdir()) == []
