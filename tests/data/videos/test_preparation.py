import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexy.data.videos.preparation import ModernPreparation, Preparation, PublishedPreparation
from lexy.data.videos.recording import Recording
from lexy.errors import UserError
from lexy.images.intensity import FrameMinMax, VideoPercentiles


def recording(frames, masks, labelled=None, pixel_size=math.nan):
    count = len(frames)
    known = np.ones(count, bool) if labelled is None else np.array(labelled)
    return Recording("C01", np.asarray(frames), np.asarray(masks, bool), known, tuple(range(count)), pixel_size)


def cell(centre, side=96, radius=12, background=200.0, noise=0.0, seed=0):
    """A bright disc with its mask."""
    rows, columns = np.ogrid[:side, :side]
    mask = np.hypot(rows - centre[0], columns - centre[1]) <= radius
    grain = np.random.default_rng(seed).normal(0, noise, mask.shape) if noise else 0.0
    return (background + 1000.0 * mask + grain).clip(0).astype(np.uint16), mask


def moving(path, **changes):
    frames, masks = zip(*(cell(centre, seed=time, **changes) for time, centre in enumerate(path)), strict=True)
    return np.stack(frames), np.stack(masks)


def walk(steps, start=(48, 48), by=(2, -1)):
    return [(start[0] + by[0] * at, start[1] + by[1] * at) for at in range(steps)]


BOTH: list[Preparation] = [PublishedPreparation(crop=None, size=32), ModernPreparation(size=32)]


@pytest.mark.parametrize("preparation", BOTH)
def test_what_comes_out(preparation):
    made = preparation(recording(*moving(walk(4), noise=5.0), pixel_size=0.5))
    assert made.frames.shape == made.masks.shape == (4, 32, 32)
    assert made.frames.dtype == np.float32
    assert made.masks.dtype == bool
    assert 0 <= made.frames.min() < made.frames.max() <= 1
    assert made.pixel_size == pytest.approx(1.5)  # 96 pixels became 32
    assert math.isnan(preparation(recording(*moving(walk(2), noise=5.0))).pixel_size)


@pytest.mark.parametrize("preparation", BOTH)
def test_the_largest_central_square_of_an_oblong_video(preparation):
    frames = np.random.default_rng(0).integers(0, 99, (1, 64, 96), dtype=np.uint16)
    masks = np.zeros((1, 64, 96), bool)
    masks[:, :, :16] = masks[:, :, 80:] = True  # outside it
    assert not preparation(recording(frames, masks)).masks.any()


@pytest.mark.parametrize(
    ("preparation", "key"), [(PublishedPreparation(crop=128), "crop"), (ModernPreparation(window=128), "window")]
)
def test_a_window_larger_than_the_video_is_refused(preparation, key):
    with pytest.raises(UserError, match=rf"C01 is 96 × 96 px, smaller than data.preparation.{key}=128"):
        preparation(recording(*moving(walk(2))))


@pytest.mark.parametrize("preparation", BOTH)
def test_a_constant_video_is_refused(preparation):
    with pytest.raises(UserError, match="C01"):
        preparation(recording(np.full((2, 32, 32), 7, np.uint16), np.zeros((2, 32, 32))))


def test_the_intensity_is_that_of_the_settings():
    assert PublishedPreparation(background=0.02).intensity == FrameMinMax(0.02)
    assert ModernPreparation(low=5, high=95).intensity == VideoPercentiles(5, 95)
    frames, masks = moving(walk(2), noise=5.0)
    for preparation in (PublishedPreparation(crop=None, size=96), ModernPreparation(size=96, low=5, high=95)):
        scale = preparation.intensity.scaling(lambda: frames, "C01")
        made = preparation(recording(frames, masks)).frames
        np.testing.assert_allclose(made, np.stack([scale(frame) for frame in frames]), atol=1e-6)


def test_percentiles_must_ascend():
    with pytest.raises(UserError, match="low=50"):
        ModernPreparation(low=50, high=50)


def test_settings_tell_preparations_apart():
    made = [
        PublishedPreparation(),
        PublishedPreparation(crop=256),
        PublishedPreparation(background=0.02),
        ModernPreparation(),
        ModernPreparation(window=64),
        ModernPreparation(high=99.0),
        ModernPreparation(reach=0.1),
    ]
    assert len({str(one.settings()) for one in made}) == len(made)


def test_published_masks_are_put_right():
    _, mask = cell((20, 24), side=48)
    framed = ~mask  # as it was, with a one-pixel frame that was not inverted
    framed[[0, -1]] = framed[:, [0, -1]] = False
    corner = np.zeros((48, 48), bool)
    corner[:9, :9] = True  # a nucleus that lies in the corner
    frames = np.random.default_rng(0).integers(0, 99, (4, 48, 48), dtype=np.uint16)
    made = PublishedPreparation(crop=None, size=48)(recording(frames, [mask, ~mask, framed, corner])).masks
    for one, expected in zip(made, [mask, mask, mask, corner], strict=True):
        np.testing.assert_array_equal(one, expected)


def test_published_crop_is_central_and_resized_by_nearest_neighbour():
    masks = np.zeros((1, 64, 64), bool)
    masks[:, 16:32, 16:48] = True
    frames = np.random.default_rng(0).integers(0, 99, (1, 64, 64), dtype=np.uint16)
    made = PublishedPreparation(crop=32, size=16)(recording(frames, masks))
    assert made.masks[0, :8].all()
    assert not made.masks[0, 8:].any()
    values = np.unique(PublishedPreparation(crop=None, size=64)(recording(frames, masks)).frames)
    assert np.isin(made.frames, values).all()


def test_modern_intensities_keep_their_course_over_time():
    """The nucleus fades; scaled frame by frame it would not."""
    frames, masks = moving([(48, 48)] * 3)
    frames = np.stack([np.where(mask, level, 100) for mask, level in zip(masks, (1100, 600, 350), strict=True)])
    made = ModernPreparation(size=96, low=0, high=100)(recording(frames.astype(np.uint16), masks)).frames
    np.testing.assert_allclose(made[:, 48, 48], [1.0, 0.5, 0.25], atol=1e-6)
    assert made[:, 0, 0].tolist() == [0, 0, 0]


def test_modern_frames_are_averaged_not_picked():
    board = np.indices((1, 64, 64)).sum(0) % 2
    made = ModernPreparation(size=16, low=0, high=100)(recording((board * 100).astype(np.uint16), board)).frames
    np.testing.assert_allclose(made, 0.5, atol=0.05)


@settings(max_examples=40)
@given(st.integers(20, 70), st.integers(16, 64), st.integers(0, 99))
def test_modern_masks_by_share_of_area(side, size, seed):
    """Against each pixel cut into `size` × `size` equal parts, which meet those of the result exactly."""
    mask = np.random.default_rng(seed).random((side, side)) < 0.5
    frames = np.random.default_rng(seed).integers(0, 99, (1, side, side), dtype=np.uint16)
    made = ModernPreparation(size=size)(recording(frames, mask[None])).masks[0]
    rows = np.repeat(mask, size, axis=0).reshape(size, side, side).sum(1, dtype=np.int64)
    share = np.repeat(rows, size, axis=1).reshape(size, size, side).sum(2)
    clear = 2 * share != side**2  # half covered: rounding decides
    np.testing.assert_array_equal(made[clear], (2 * share > side**2)[clear])


def test_the_window_follows_the_cell():
    path = walk(12, start=(40, 60))
    still = ModernPreparation(window=48, size=48)(recording(*moving(path[:1] * 12))).masks
    made = ModernPreparation(window=48, size=48)(recording(*moving(path, noise=30.0))).masks
    centroids = np.array([np.argwhere(mask).mean(0) for mask in made])
    # The weight in the window's middle holds it back a little: 3 px of the 22 that the cell moves.
    np.testing.assert_allclose(centroids, np.argwhere(still[0]).mean(0) + np.zeros((12, 2)), atol=4)


def test_the_window_is_found_without_any_later_mask():
    frames, masks = moving(walk(10), noise=30.0)
    shown = ModernPreparation(window=48, size=48)(recording(frames, masks)).frames
    elsewhere = np.concatenate([masks[:1], np.roll(masks[1:], 30, axis=2)])
    np.testing.assert_array_equal(ModernPreparation(window=48, size=48)(recording(frames, elsewhere)).frames, shown)
    later = ModernPreparation(window=48, size=48)(recording(frames, elsewhere)).masks
    assert not np.array_equal(later, ModernPreparation(window=48, size=48)(recording(frames, masks)).masks)


def test_the_window_lies_about_the_first_labelled_frame_and_is_followed_both_ways():
    frames, masks = moving(walk(9), noise=30.0)
    known = [False] * 4 + [True] * 5
    hidden = np.where(np.array(known)[:, None, None], masks, False)
    made = ModernPreparation(window=48, size=48)(recording(frames, hidden, known)).frames
    brightest = [np.argwhere(frame > 0.5).mean(0) for frame in made]
    np.testing.assert_allclose(brightest, np.full((9, 2), 23.5), atol=2)


def test_the_window_takes_the_middlemost_of_several_and_stops_at_the_border():
    near, mask = cell((40, 52), radius=9)
    far, other = cell((12, 12), radius=9)
    frames = np.stack([np.maximum(near, far)] * 2)
    made = ModernPreparation(window=32, size=32)(recording(frames, np.stack([mask | other] * 2))).masks
    np.testing.assert_allclose(np.argwhere(made[0]).mean(0), 15.5, atol=1)
    leaving = ModernPreparation(window=48, size=48)(recording(*moving(walk(9, start=(60, 48), by=(4, 0))))).masks
    np.testing.assert_array_equal(leaving[-1], moving([(92, 48)])[1][0, 48:, 24:72])


def test_the_window_moves_no_farther_than_its_reach():
    frames, masks = moving([(30, 48), (50, 48)])
    made = ModernPreparation(window=48, size=48, reach=0.125)(recording(frames, masks)).masks
    rows = [np.argwhere(mask)[:, 0].mean() for mask in made]
    assert rows[1] - rows[0] == pytest.approx(20 - 6, abs=1)
