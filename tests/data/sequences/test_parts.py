"""The pieces that the protocols are made of, against scikit-image, SciPy and pencil."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.filters import threshold_otsu
from stills_to_warp import disc
from torch.nn import functional

from lexy.data.sequences.camera import expose
from lexy.data.sequences.cells import central_nucleus
from lexy.data.sequences.draws import Draws, white_noise
from lexy.data.sequences.export_kinetics import exchange
from lexy.data.sequences.motion import linear_maps, sampling_grid, smooth_paths
from lexy.data.sequences.selection import area_and_centroid, otsu_threshold, touches_border
from lexy.images.filters import blur, dilate_box, dilate_cross


@settings(max_examples=20)
@given(
    sigma=st.lists(st.floats(0, 4), min_size=2, max_size=4),
    size=st.tuples(st.integers(8, 30), st.integers(8, 30)),
    seed=st.integers(0, 99),
)
def test_blur_is_scipys(sigma, size, seed):
    images = torch.rand(len(sigma), 1, *size, generator=torch.Generator().manual_seed(seed))
    blurred = blur(images, torch.tensor(sigma))
    for image, out, width in zip(images[:, 0].numpy(), blurred[:, 0].numpy(), sigma, strict=True):
        np.testing.assert_allclose(out, ndimage.gaussian_filter(image, np.float32(width), mode="nearest"), atol=1e-5)


@settings(max_examples=20)
@given(
    sigma=st.lists(st.floats(0.05, 4), min_size=1, max_size=3),
    size=st.tuples(st.integers(8, 30), st.integers(8, 30)),
    radius=st.integers(0, 12),
    border=st.sampled_from(["nearest", "mirror"]),
)
def test_a_blur_that_is_cut_off_and_mirrored_is_scipys(sigma, size, radius, border):
    images = torch.rand(len(sigma), 2, 1, *size, generator=torch.Generator().manual_seed(0))
    blurred = blur(images, torch.tensor(sigma), border, radius)
    for clip, out, width in zip(images[:, :, 0].numpy(), blurred[:, :, 0].numpy(), sigma, strict=True):
        for image, result in zip(clip, out, strict=True):
            expected = ndimage.gaussian_filter(image, np.float32(width), mode=border, radius=radius)
            np.testing.assert_allclose(result, expected, atol=1e-5)


@settings(max_examples=20)
@given(seed=st.integers(0, 999), levels=st.integers(2, 300))
def test_otsu_is_scikit_images(seed, levels):
    images = np.random.default_rng(seed).integers(0, levels, (3, 1, 12, 17)) ** 2 / levels**2
    images = images.astype(np.float32)
    ours = otsu_threshold(torch.from_numpy(images))
    np.testing.assert_allclose(ours, [threshold_otsu(image.astype(float)) for image in images], rtol=1e-6)


def test_dilations_and_border():
    masks = torch.rand(4, 1, 15, 19, generator=torch.Generator().manual_seed(0)) > 0.93
    for mask, box, cross in zip(masks, dilate_box(masks.float(), 4), dilate_cross(masks), strict=True):
        assert np.array_equal(box[0] > 0, ndimage.binary_dilation(mask[0], np.ones((9, 9))))
        assert np.array_equal(cross[0], ndimage.binary_dilation(mask[0]))
    stills = torch.cat([disc(10, 10, 5, 21), disc(10, 5, 5, 21), disc(3, 10, 5, 21), torch.zeros(1, 1, 21, 21)])
    assert touches_border(stills).tolist() == [False, True, True, False]


def test_the_nucleus_of_interest_is_the_central_piece():
    main = disc(30, 36, 9, 64)
    masks = (main + disc(50, 10, 8, 64) + disc(8, 60, 8, 64)).clamp(max=1)
    assert torch.equal(central_nucleus(masks), main)
    area, centre = area_and_centroid(main)
    torch.testing.assert_close(centre, torch.tensor([[36.0, 30.0]]))
    assert area.tolist() == [main.sum()]


def test_draws_are_a_functions_of_seed_and_clip_alone():
    def some(seed, clips):
        draws = Draws(seed, clips)
        return torch.cat([draws.uniform((2, 3), 4), draws.normal(3), draws.log_uniform((1, 100))[:, None]], dim=1)

    torch.manual_seed(5)
    assert torch.equal(some(1, [7, 3])[1], some(1, [3])[0])
    assert not torch.equal(some(1, [3]), some(2, [3]))
    many = Draws(0, range(4000))
    assert many.normal().std().item() == pytest.approx(1, abs=0.04)
    assert many.log_uniform((1, 100)).median().item() == pytest.approx(10, rel=0.1)
    with pytest.raises(ValueError, match="more than"):
        many.uniform((0, 1), 10**4)


def test_white_noise_is_white_and_the_same_by_any_arithmetic():
    def by_hand(place, key):
        x = (place * 0x1E3779B1 + key) % 2**32
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            x = (x ^ x >> shift) * factor % 2**32
        x ^= x >> 16
        return (sum(x.to_bytes(4, "little")) - 510) / math.sqrt(4 * (256**2 - 1) / 12)

    noise = white_noise(torch.tensor([12345, 2**31 - 1], dtype=torch.int32), 30, 64, 64)
    assert noise[1, 3, 5, 7].item() == pytest.approx(by_hand((3 * 64 + 5) * 64 + 7, 2**31 - 1), abs=1e-6)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(1, abs=0.01)
    for shifted in (noise.roll(1, 0), noise.roll(1, 1), noise.roll(1, 2), noise.roll(1, 3)):
        assert abs((noise * shifted).mean()) < 0.01


def test_exchange_by_hand():
    """N/C 3 → 0.5, twice as much cytoplasm as nucleus: the nucleus' share of the protein falls from 3/5 to 1/5."""
    one = torch.ones(1, dtype=torch.float64)
    half_time = math.log(2) * 30
    time = torch.tensor([0, 100, 100 + half_time, 1100, 1100 + 2 * half_time, 1e6], dtype=torch.float64)
    values = (100, 1000, 3, 0.5, 0.75, 30, 60, 2)
    nucleus, cytoplasm = (part[0] for part in exchange(time, *(one * value for value in values)))
    share = torch.tensor([0.6, 0.6, 0.4, 0.2, 0.2 + 0.75 * 0.4 / 2, 0.5], dtype=torch.float64)
    torch.testing.assert_close(nucleus, share / 0.6, atol=1e-6, rtol=0)
    torch.testing.assert_close(nucleus + 2 * cytoplasm, torch.full_like(share, 5 / 3))
    assert (nucleus / cytoplasm)[[0, 3]].tolist() == pytest.approx([3, 0.5], abs=1e-6)


def test_however_slow_the_export_its_depth_is_reached():
    one = torch.ones(1, dtype=torch.float64)
    nucleus, cytoplasm = exchange(torch.tensor([160.0]), *(one * v for v in (100, 60, 2, 0.7, 1, 500, 60, 3)))
    assert (nucleus / cytoplasm).item() == pytest.approx(0.7)


def test_paths_start_at_rest_and_have_the_asked_spread():
    draws = Draws(0, range(500))
    time = torch.tensor([0.0, 1.0, 700.0]).expand(500, -1)
    paths = smooth_paths(draws, time, (50.0, 100.0), 2)
    assert paths.shape == (500, 2, 3)
    assert paths[..., 0].abs().max() == 0
    assert paths[..., 1].abs().max() < 0.6  # smooth
    assert paths[..., 2].std().item() == pytest.approx(2**0.5, rel=0.1)  # of the difference of two values


@settings(max_examples=15)
@given(
    angle=st.floats(-3, 3),
    shift=st.tuples(st.floats(-5, 5), st.floats(-5, 5)),
    size=st.tuples(*[st.integers(9, 20)] * 2),
)
def test_the_grid_turns_about_the_centre(angle, shift, size):
    height, width = size
    centre, target = torch.tensor([[4.0, 3.0]]), torch.tensor([[[4.0 + shift[0], 3.0 + shift[1]]]])
    linear = linear_maps(torch.tensor([[angle]]), torch.zeros(1, 1, 3))
    grid = sampling_grid(linear, centre, target, torch.zeros(1, 1, 2, 4, 4), height, width)[0, 0]
    pixels = ((grid + 1) * torch.tensor([width, height]) - 1) / 2
    x, y = 7 - 4 - shift[0], 5 - 3 - shift[1]
    expected = [4 + math.cos(angle) * x - math.sin(angle) * y, 3 + math.sin(angle) * x + math.cos(angle) * y]
    assert pixels[5, 7].tolist() == pytest.approx(expected, abs=1e-3)


def test_an_even_elastic_displacement_is_a_shift():
    image = torch.rand(1, 1, 12, 16)
    elastic = torch.zeros(1, 1, 2, 4, 4)
    elastic[:, :, 0], elastic[:, :, 1] = 3, -2
    still = torch.zeros(1, 1, 2)
    grid = sampling_grid(torch.eye(2)[None, None], still[0], still, elastic, 12, 16)[0]
    moved = functional.grid_sample(image, grid, align_corners=False)
    torch.testing.assert_close(moved[..., 2:, :13], image[..., :10, 3:], atol=1e-4, rtol=0)


def test_stretch_is_a_symmetric_scale():
    linear = linear_maps(torch.zeros(1), torch.tensor([[0.2, -0.1, 0.0]]))
    torch.testing.assert_close(linear[0], torch.diag(torch.tensor([0.2, -0.1]).exp()))
    sheared = linear_maps(torch.zeros(1), torch.tensor([[0.0, 0.0, 0.3]]))
    assert torch.linalg.det(sheared).item() == pytest.approx(1)


def test_shot_noise_grows_with_the_light_and_read_noise_does_not():
    frames = torch.full((2, 40, 32, 32), 0.5)
    frames[:, :20] = 0.2
    exposed = expose(
        frames, torch.zeros(2, 40), torch.tensor([100.0, 1e9]), torch.tensor([0.0, 0.02]), torch.tensor([1, 2]).int()
    )
    spread = torch.stack([exposed[:, :20].std((1, 2, 3)), exposed[:, 20:].std((1, 2, 3))], dim=1)
    torch.testing.assert_close(
        spread, torch.tensor([[(0.2 / 100) ** 0.5, (0.5 / 100) ** 0.5], [0.02, 0.02]]), rtol=0.02, atol=0
    )
