import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.feature import canny
from skimage.transform import AffineTransform, warp
from stills_to_warp import cell, disc

from lexy.data.crops import ring_contrast
from lexy.data.sequences.published import INTENSITY, MOTION, Published, warp_indices
from lexy.data.stills import PhantomStills

THIRDS = [4, 25 / 7, 22 / 7, 19 / 7, 16 / 7, 13 / 7, 10 / 7, 1]


@pytest.fixture(scope="module")
def phantom():
    stills = PhantomStills(fields=8, size=128, crop_size=64).stills
    return stills.images[:, None].float() / 255, stills.masks[:, None].float()


def test_the_intensity_path_is_the_published_one():
    down = THIRDS + [1 / value for value in reversed(THIRDS[:-1])]
    np.testing.assert_allclose(INTENSITY, down + down[::-1])
    np.testing.assert_allclose(MOTION[[0, 10, 29]], [-2, -2 + 40 / 29, 2])


def test_a_pixel_comes_from_where_the_affine_says():
    indices = warp_indices(128, 128).reshape(30, 128, 128)
    # p = 2: scale 1.1, shear 0.1 rad; y = 110 / 1.1, x = 66 / 1.1 + tan(0.1) · 100 = 70.03
    assert indices[29, 110, 66] == 100 * 128 + 70
    # p = −2: scale 0.9, shear −0.1 rad; y = 45 / 0.9, x = 90 / 0.9 − tan(0.1) · 50 = 94.98
    assert indices[0, 45, 90] == 50 * 128 + 95
    assert indices[0, 127, 60] == 128 * 128  # 127 / 0.9 lies outside


def test_a_centred_disc_moves_and_grows_as_published():
    mask = disc(63.5, 63.5, 20)
    moved = Published().clips(mask, mask, 0, [0]).masks[0, :, 0]
    area = moved.sum((1, 2))
    at = torch.arange(128.0)
    rows, columns = (moved.sum(axis) @ at / area - 63.5 for axis in (2, 1))
    assert (rows[0].item(), rows[29].item()) == pytest.approx((-6.3, 6.3), abs=0.15)
    affine = torch.from_numpy(0.05 * MOTION * 63.5)
    assert (rows - affine).abs().max() < 0.35  # whole pixels: neighbouring frames may even lie in the same place
    assert (rows.diff() >= 0).all()
    assert columns.abs().max() <= 0.75
    assert (area[0] / mask.sum()).item() == pytest.approx(0.82, abs=0.015)
    assert (area[29] / mask.sum()).item() == pytest.approx(1.20, abs=0.015)


def test_a_sequence_is_the_plain_loops():
    rng = np.random.default_rng(0)
    image, mask = (part[0, 0].numpy() for part in cell(0.4, 0.4))
    image = image * rng.uniform(0.5, 1, image.shape).astype(np.float32)
    ours = Published().clips(torch.from_numpy(image)[None, None], torch.from_numpy(mask)[None, None], 0, [0])
    for index, (p, factor) in enumerate(zip(np.linspace(-2, 2, 30), INTENSITY, strict=True)):
        matrix = np.array([[1, -math.tan(0.05 * p), 0], [0, 1, 0], [0, 0, 0]]) * (1 + 0.05 * p) + np.diag([0, 0, 1])
        parts = [
            warp(a, AffineTransform(matrix).inverse, order=0) for a in (np.where(mask > 0, image * factor, image), mask)
        ]
        frame, moved = (ndimage.rotate(a, 0.05 * p, reshape=False, order=0) for a in parts)
        moved = ndimage.gaussian_filter(moved, 1.5) >= 0.5
        edge = ndimage.binary_dilation(canny(moved.astype(float), sigma=1))
        frame = np.where(edge, ndimage.gaussian_filter(frame, 0.7), frame)
        np.testing.assert_array_equal(ours.masks[0, index, 0].numpy() > 0, moved)
        np.testing.assert_allclose(ours.frames[0, index, 0].numpy(), frame / frame.max(), atol=1e-5)


def test_the_edge_is_blurred_and_the_frame_divided_by_its_maximum():
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 40:88, 40:88] = 1
    clips = Published().clips(torch.full_like(mask, 0.2), mask, 0, [0])
    bright, dark = (clips.frames[0, index, 0, 60] for index in (0, 14))
    assert bright.unique()[[0, -1]].tolist() == pytest.approx([0, 1])  # 0 comes in from outside
    assert (bright[20], bright[50]) == (pytest.approx(1 / 4), 1)
    first = int(clips.masks[0, 14, 0, 60].argmax())
    taps = [math.exp(-(k**2) / (2 * 0.7**2)) for k in range(-3, 4)]
    beyond = sum(taps[4:]) / sum(taps)  # share of the Gaussian on the other side of the outline
    assert dark[first - 1].item() == pytest.approx(1 - 0.75 * beyond, abs=1e-5)
    assert dark[first].item() == pytest.approx(0.25 + 0.75 * beyond, abs=1e-5)
    np.testing.assert_allclose(dark[[first - 4, first + 4]], [1, 0.25], atol=1e-6)


def test_contrast_is_known_by_hand():
    image, mask = cell(0.5, 0.5)
    contrast = Published().clips(image, mask, 0, [0]).contrast[0]
    expected = [(4 - 1) / (4 + 1), 0, (0.25 - 1) / (0.25 + 1), -0.6, 0, 0.6]
    np.testing.assert_allclose(contrast[[0, 7, 14, 15, 22, 29]], expected, atol=1e-6)


def test_nothing_is_drawn_and_nothing_depends_on_the_batch(phantom):
    images, masks = (part[:6] for part in phantom)
    whole = Published().clips(images, masks, 0, range(6))
    alone = Published().clips(images[4:5], masks[4:5], 7, [99])
    torch.testing.assert_close(whole.frames[4:5], alone.frames)
    assert torch.equal(whole.masks[4:5], alone.masks)
    assert whole.frames.shape == whole.masks.shape == (6, 30, 1, 64, 64)
    torch.testing.assert_close(whole.frames.amax((2, 3, 4)), torch.ones(6, 30))


def test_stills_are_selected_by_hand():
    """The ring of a cell's cytoplasm is above Otsu's threshold, as its nucleus is."""
    cells = [cell(0.5, 0.45), cell(0.5, 0.59), cell(0.5, 0.38), cell(0.38, 0.5)]
    at_border = disc(5, 63, 19)
    images, masks = (torch.cat(part) for part in zip(*cells, (cells[0][0], at_border), strict=True))
    assert Published().select(images, masks).tolist() == [True, True, False, False, False]


def test_stills_are_selected_by_ring_contrast_and_border(phantom):
    images, masks = phantom
    expected = []
    for image, mask in zip(images[:, 0].numpy(), masks[:, 0].numpy() > 0, strict=True):
        inside = not (mask[[0, -1]].any() or mask[:, [0, -1]].any())
        expected.append(inside and abs(ring_contrast(image, mask)) < 0.3)
    chosen = Published(max_contrast=0.3).select(images, masks)
    assert chosen.tolist() == expected
    assert 0 < chosen.sum() < len(chosen)


def test_a_still_without_ring_or_nucleus_is_not_selected():
    image, mask = cell(0.5, 0.0)
    nothing = torch.zeros_like(mask)
    assert Published(max_contrast=1).select(torch.cat([image, image]), torch.cat([mask, nothing])).tolist() == [0, 0]
