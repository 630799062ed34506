import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lexy.errors import UserError
from lexy.images.intensity import FrameMinMax, RankedValues, RoundedPercentiles, VideoPercentiles, from_settings

SHAPES = st.tuples(st.integers(1, 3), st.integers(2, 6), st.integers(2, 6))
FLOATS = arrays.arrays(np.float32, SHAPES, elements=st.floats(-60000, 60000, width=32))
INTEGERS = arrays.arrays(np.uint16, SHAPES)


def scaling(intensity, frames):
    return intensity.scaling(lambda: frames, "C01")


@given(st.one_of(FLOATS, INTEGERS))
def test_values_have_their_place_in_the_order(frames):
    values, ordered = RankedValues(lambda: frames), np.sort(frames, axis=None)
    assert values.count == frames.size
    assert values.at(range(frames.size)) == ordered.tolist()


@given(INTEGERS, st.floats(0, 49), st.floats(51, 100))
def test_percentiles_are_those_of_numpy_to_the_last_digit(frames, low, high):
    dark, bright = np.percentile(frames, [low, high])
    if not dark < bright:
        with pytest.raises(UserError, match=r"C01 has one value nearly all over"):
            scaling(VideoPercentiles(low, high), frames)
        return
    scale = scaling(VideoPercentiles(low, high), frames)
    expected = ((frames - dark) / (bright - dark)).clip(0, 1).astype(np.float32)
    np.testing.assert_array_equal(np.stack([scale(frame) for frame in frames]), expected)


@given(FLOATS)
def test_rounded_percentiles_are_values_of_the_video_to_a_twothousandth(frames):
    low, high = np.percentile(frames, [0.5, 99.8], method="inverted_cdf")
    darkest = float(frames.min())
    if high - low <= 1e-3 * (high - darkest):
        return
    scale = scaling(RoundedPercentiles(), frames)
    expected = ((frames.astype(float) - low) / (high - low)).clip(0, 1)
    steep = (high - darkest) / (high - low)
    np.testing.assert_allclose(np.stack([scale(frame) for frame in frames]), expected, atol=1.1e-3 * steep)


@pytest.mark.parametrize("kind", [VideoPercentiles, RoundedPercentiles])
def test_an_offset_of_the_camera_costs_nothing(kind):
    frames = np.random.default_rng(0).integers(9, 31, (3, 20, 50)).astype(np.float32)
    for offset in (0, 32768, 100_000):
        scale = scaling(kind(), frames + np.float32(offset))
        assert scale(np.array([9, 19.5, 30]) + offset).tolist() == pytest.approx([0, 0.5, 1], abs=5e-3)


@pytest.mark.parametrize("kind", [VideoPercentiles, RoundedPercentiles])
def test_bright_specks_do_not_darken_the_rest(kind):
    frames = np.tile(np.arange(1000, 2000, dtype=np.float32).reshape(1, 20, 50), (3, 1, 1))
    frames[1, 0, 0] = 1e6
    scale = scaling(kind(), frames)
    assert scale(np.array([1005.0, 1998.0])).tolist() == pytest.approx([0, 1], abs=2e-3)
    assert scale(np.array([[0.0, 1e6]])).tolist() == [[0, 1]]


@pytest.mark.parametrize("kind", [VideoPercentiles, RoundedPercentiles])
def test_a_video_is_looked_at_twice_and_never_held(kind):
    frames, begun = np.random.default_rng(0).integers(0, 99, (4, 6, 6)), []

    def passes():
        begun.append(len(begun))
        yield from frames

    kind().scaling(passes, "C01")
    assert begun == [0, 1]


@pytest.mark.parametrize("kind", [VideoPercentiles, RoundedPercentiles])
def test_a_constant_video_is_a_mistake(kind):
    with pytest.raises(UserError, match=r"C01 has one value nearly all over \(7\)"):
        scaling(kind(), np.full((2, 4, 4), 7, np.float32))


def test_rounded_percentiles_by_hand():
    """The brightest value lies 5001 above the darkest: 13 binary digits, of which the last one is dropped."""
    frames = np.linspace(7, 5008, 400).round().reshape(1, 20, 20)
    scale = scaling(RoundedPercentiles(0, 100), frames)
    assert scale(np.array([7, 7 + 2500, 7 + 5000, 5008])).tolist() == [0, 0.5, 1, 1]


def test_frames_one_by_one_by_hand():
    """Dark 10 and 20 half and half, bright 110: min–max gives 0, 0.1 and 1; the background's mean becomes 0.02."""
    frame = np.full((32, 32), 10, np.uint16)
    frame[16:], frame[4:12, 4:12] = 20, 110
    scale = scaling(FrameMinMax(background=0.02), [])
    factor = 0.02 / ((frame[frame < 110] - 10) / 100).mean()
    np.testing.assert_allclose(scale(frame), factor * (frame - 10.0) / 100, rtol=1e-5)
    np.testing.assert_allclose(scale(3.0 * frame + 500), scale(frame), rtol=1e-5)
    without = np.where(frame < 110, 10, frame)  # a background of 0 stays 0
    assert np.unique(scale(without)).tolist() == [0, 1]
    with pytest.raises(UserError, match=r"C01: a frame has one value all over \(5\)"):
        scale(np.full((4, 4), 5))


@pytest.mark.parametrize("made", [VideoPercentiles(5, 95), RoundedPercentiles(1, 99.5), FrameMinMax(0.2)])
def test_an_intensity_is_built_again_from_its_settings(made):
    assert from_settings(made.settings()) == made


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"kind": "os.system"},
        {"kind": "Intensity"},
        {"kind": "VideoPercentiles", "low": 60, "high": 50},
        {"kind": "VideoPercentiles", "low": float("nan")},
        {"kind": "VideoPercentiles", "low": "a"},
        {"kind": "VideoPercentiles", "background": 1},
        {"kind": "FrameMinMax", "background": 0},
    ],
)
def test_other_settings_are_refused(settings):
    with pytest.raises(UserError, match="intensity="):
        from_settings(settings)
