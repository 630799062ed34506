import numpy as np
import pytest
import torch
from memory_video import Bright, MemoryVideo, trained

from lexy.errors import UserError
from lexy.predict.scale import Field, Scale, resample, scale_of, scaling_of

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


def test_a_field_goes_there_and_back_in_place():
    frames = np.zeros((1, 40, 60), np.float32)
    frames[0, 10:20, 30:45] = 1000
    film = MemoryVideo(frames)
    field = Field(film, Scale(1.7, 10), scaling_of(film, trained(Bright())))
    assert field.frame(0).shape == (68, 102)
    assert np.abs(field.back(field.frame(0)) - frames[0] / 1000)[frames[0] == 0].max() < 0.5
    assert ((field.back(field.frame(0)) > 0.5) == (frames[0] > 0)).all()
    assert ((field.back(field.mask(frames[0].astype(int))) > 0.5) == (frames[0] > 0)).all()
