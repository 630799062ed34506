import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from memory_video import Bright, MemoryVideo, trained

from lexy.errors import UserError
from lexy.predict.scale import Field, Scale, brightness_of, resample, scale_of

NAN = float("nan")


def video(pixel_size: float = NAN, shape: tuple[int, int] = (40, 60)) -> MemoryVideo:
    return MemoryVideo(np.zeros((2, *shape)), pixel_size)


def test_nuclei_become_as_large_as_in_training():
    scale = scale_of(video(), trained(Bright(), diameter=21.0), diameter=16)
    assert scale == Scale(21 / 16, 16)
    assert scale.shape((1024, 512)) == (1344, 672)


def test_pixel_sizes_give_the_scale_and_the_diameter():
    # a pixel of 1 µm is 2 px of 0.5 µm, so 20 px of the network are 10 px of the video
    assert scale_of(video(1.0), trained(Bright(), diameter=20.0, pixel_size=0.5)) == Scale(2.0, 10.0)


def test_the_users_diameter_wins():
    assert scale_of(video(1.0), trained(Bright(), diameter=20.0, pixel_size=0.5), 16).factor == 20 / 16
    # a checkpoint that does not know its nuclei needs both
    assert scale_of(video(1.0), trained(Bright(), diameter=None, pixel_size=0.5), 16) == Scale(2.0, 16)


@pytest.mark.parametrize(
    ("pixel_size", "own", "own_pixel", "diameter", "advice"),
    [
        (NAN, 20.0, None, None, "--diameter PX"),
        (NAN, 20.0, 0.5, None, "--pixel-size UM"),
        (NAN, None, 0.5, 16, "--pixel-size UM"),
        (1.0, None, 0.5, None, "--diameter PX"),
        (1.0, None, None, 16, "train it again"),
    ],
)
def test_an_unknown_scale_says_what_to_give(pixel_size, own, own_pixel, diameter, advice):
    with pytest.raises(UserError, match=advice):
        scale_of(video(pixel_size), trained(Bright(), diameter=own, pixel_size=own_pixel), diameter)


@pytest.mark.parametrize("diameter", [0, -3, 2.9, 61, NAN, float("inf")])
def test_a_diameter_that_cannot_be(diameter):
    with pytest.raises(UserError, match="--diameter"):
        scale_of(video(), trained(Bright()), diameter)


def test_a_pixel_size_in_the_wrong_unit():
    with pytest.raises(UserError, match="cannot be meant"):
        scale_of(video(1000.0), trained(Bright(), pixel_size=0.5))
    with pytest.raises(UserError, match="cannot be meant"):
        scale_of(video(20.0), trained(Bright(), pixel_size=0.5, diameter=20.0))  # nuclei of half a pixel


def test_resampling_keeps_means_and_places():
    stripes = torch.tensor([0.0, 1.0]).repeat(32).expand(64, 64)
    assert resample(stripes, (16, 16))[2:-2, 2:-2].sub(0.5).abs().max() < 0.02  # not aliased to black or white
    ramp = torch.arange(64.0).expand(64, 64)
    there = resample(resample(ramp, (84, 84)), (64, 64))
    assert (there - ramp)[:, 3:-3].abs().max() < 0.1
    assert (there - ramp)[:, 3:-3].mean().abs() < 1e-3  # no shift there and back


@settings(max_examples=25)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.just(3), st.integers(2, 6), st.integers(2, 6)),
        elements=st.floats(-60000, 60000, width=32),
    )
)
def test_percentiles_without_all_values_in_memory(frames):
    low, high = np.percentile(frames, [0.5, 99.8], method="inverted_cdf")
    darkest = float(frames.min())
    if high - low <= 1e-3 * (high - darkest):
        return
    found = brightness_of(MemoryVideo(frames))
    assert found.low - darkest == pytest.approx(low - darkest, rel=1e-3, abs=1e-6 * abs(darkest) + 1e-30)
    assert found.high - darkest == pytest.approx(high - darkest, rel=1e-3, abs=1e-6 * abs(darkest) + 1e-30)


def test_an_offset_of_the_camera_costs_nothing():
    frames = np.random.default_rng(0).integers(9, 31, (3, 20, 50)).astype(np.float32)
    for offset in (0, 32768, 100_000):
        found = brightness_of(MemoryVideo(frames + np.float32(offset)))
        assert (found.low - offset, found.high - offset) == pytest.approx((9, 30), abs=0.1)


def test_bright_specks_do_not_darken_the_rest():
    frames = np.tile(np.arange(1000, 2000, dtype=np.float32).reshape(1, 20, 50), (3, 1, 1))
    frames[1, 0, 0] = 1e6
    brightness = brightness_of(MemoryVideo(frames))
    assert brightness.low == pytest.approx(1005, rel=1e-3)
    assert brightness.high == pytest.approx(1998, rel=1e-3)
    assert brightness(np.array([[0, 1e6]])).tolist() == [[0, 1]]


def test_a_constant_video_is_a_mistake():
    with pytest.raises(UserError, match=r"has one value nearly all over \(7\)"):
        brightness_of(MemoryVideo(np.full((2, 4, 4), 7, np.float32)))


def test_a_field_goes_there_and_back_in_place():
    frames = np.zeros((1, 40, 60), np.float32)
    frames[0, 10:20, 30:45] = 1000
    film = MemoryVideo(frames)
    field = Field(film, Scale(1.7, 10), brightness_of(MemoryVideo(frames)))
    assert field.frame(0).shape == (68, 102)
    assert np.abs(field.back(field.frame(0)) - frames[0] / 1000)[frames[0] == 0].max() < 0.5
    assert ((field.back(field.frame(0)) > 0.5) == (frames[0] > 0)).all()
    assert ((field.back(field.mask(frames[0].astype(int))) > 0.5) == (frames[0] > 0)).all()
