import numpy as np
import pytest
import torch
from stills_to_warp import cell, disc

from lexy.data.sequences.cells import take_apart
from lexy.data.sequences.draws import white_noise
from lexy.data.sequences.translocation import Translocation
from lexy.data.stills import PhantomStills
from lexy.errors import UserError
from lexy.images.nc_ratio import contrast

RESTING = {"drift": 0.0, "rotation": 0.0, "stretch": 0.0, "elastic": 0.0}
CLEAR = {"photons": (1e9, 1e9), "read": (0.0, 0.0), "focus": 0.0, "bleaching": (0.0, 0.0), "background": (0.0, 0.0)}


@pytest.fixture(scope="module")
def phantom():
    stills = PhantomStills(fields=6, size=128, crop_size=64).stills
    return stills.images[:, None].float() / 255, stills.masks[:, None].float()


@pytest.fixture(scope="module")
def made(phantom):
    images, masks = (part[:8] for part in phantom)
    return Translocation().clips(images, masks, 3, range(8))


def test_shapes_and_ranges(made):
    assert made.frames.shape == made.masks.shape == (8, 30, 1, 64, 64)
    assert made.contrast.shape == (8, 30)
    assert {part.dtype for part in (made.frames, made.masks, made.contrast)} == {torch.float32}
    assert made.masks.unique().tolist() == [0, 1]
    assert made.frames.min() >= 0
    assert made.frames.max() <= 1


def test_a_clip_is_the_same_in_any_batch_and_another_one_with_another_seed(phantom, made):
    images, masks = (part[5:6] for part in phantom)
    torch.manual_seed(1)
    alone = Translocation().clips(images, masks, 3, [5])
    torch.testing.assert_close(alone.frames, made.frames[5:6], atol=1e-4, rtol=0)
    torch.testing.assert_close(alone.contrast, made.contrast[5:6])
    assert (alone.masks != made.masks[5:6]).float().mean() < 1e-4
    for seed, number in ((4, 5), (3, 6)):
        assert (Translocation().clips(images, masks, seed, [number]).frames - alone.frames).abs().mean() > 0.01


def test_at_rest_the_mask_stays_the_stills(phantom):
    images, masks = (part[:6] for part in phantom)
    clips = Translocation(neighbours=0.0, frames=4, interval=200.0, **RESTING).clips(images, masks, 0, range(6))
    seen = torch.stack([clips.masks[:, t] for t in range(4)])
    assert ((seen - masks) != 0).float().mean() < 0.002  # neighbours may be covered at their edges
    moving = Translocation(neighbours=0.0).clips(images, masks, 0, range(6))
    overlap = (
        2
        * (moving.masks * masks[:, None]).sum((2, 3, 4))
        / (moving.masks.sum((2, 3, 4)) + masks.sum((1, 2, 3))[:, None])
    )
    assert overlap[:, 0].min() > 0.98  # paths start at rest
    assert 0.6 < overlap[:, 5:].mean() < 0.93


def test_contrast_crosses_zero_inverts_and_is_what_can_be_measured(phantom):
    images, masks = (part[:16] for part in phantom)
    clips = Translocation(**CLEAR).clips(images, masks, 0, range(16))
    assert (clips.contrast[:, 0] > 0.1).all()
    assert (clips.contrast.amin(1) < -0.05).all()
    assert (clips.contrast[:, -1] > clips.contrast.amin(1) + 0.1).all()
    measured = contrast(clips.frames[:, :, 0].flatten(0, 1), clips.masks[:, :, 0].flatten(0, 1) > 0).view(16, 30)
    assert (measured - clips.contrast).abs().mean() < 0.06
    assert np.corrcoef(measured.flatten(), clips.contrast.flatten())[0, 1] > 0.97


def test_what_leaves_the_nucleus_arrives_in_the_cytoplasm():
    image, mask = cell()
    protocol = Translocation(neighbours=0.0, exposure=(0.3, 0.3), **RESTING, **CLEAR)
    frames = protocol.clips(image, mask, 0, [0]).frames[0, :, 0]
    total, inside = frames.sum((1, 2)), (frames * mask[0, 0]).sum((1, 2))
    assert (total / total[0] - 1).abs().max() < 0.01
    assert inside.min() < 0.7 * inside[0]


def test_the_nucleus_empties_and_fills_with_the_drawn_rates():
    image, mask = (part.expand(6, -1, -1, -1) for part in cell(size=64))
    experiment = {"onset": (60.0, 60.0), "light": (300.0, 300.0), "export": (50.0, 150.0), "back": (60.0, 240.0)}
    protocol = Translocation(neighbours=0.0, exposure=(0.3, 0.3), **experiment, **RESTING, **CLEAR)
    frames = protocol.clips(image, mask, 0, range(6)).frames[:, :, 0]
    inside = frames[:, :, 29:35, 29:35].mean((2, 3)).double()
    steps = inside.diff()
    assert (steps[:, :2].abs() < 1e-4).all()  # frames 0 to 2: before the light, photons of 1e9
    for between, sign, (fastest, slowest) in ((slice(2, 12), -1, (50, 150)), (slice(12, 22), 1, (60, 240))):
        assert (steps[:, between].sign() == sign).all()
        rates = -(steps[:, between][:, 1:5] / steps[:, between][:, :4]).log() / 30
        torch.testing.assert_close(rates, rates[:, :1].expand_as(rates), rtol=0.03, atol=0)
        assert (1 / rates > 0.98 * fastest).all()
        assert (1 / rates < 1.02 * slowest).all()
        assert rates[:, 0].max() > 1.2 * rates[:, 0].min()
    fixed = Translocation(
        neighbours=0.0, exposure=(0.3, 0.3), **experiment | {"export": (80.0, 80.0)}, **RESTING, **CLEAR
    )
    steps = fixed.clips(image[:1], mask[:1], 0, [0]).frames[0, :, 0, 29:35, 29:35].mean((1, 2)).diff()
    assert (steps[4] / steps[3]).item() == pytest.approx(np.exp(-30 / 80), rel=0.01)


def test_bleaching_takes_the_same_share_of_the_light_each_minute():
    image, mask = cell()
    settings = RESTING | CLEAR | {"bleaching": (0.1, 0.1), "background": (0.02, 0.02)}
    frames = Translocation(neighbours=0.0, exposure=(0.3, 0.3), **settings).clips(image, mask, 0, [0]).frames[0, :, 0]
    np.testing.assert_allclose(frames[::2, 0, 0], 0.02 * 0.9 ** np.arange(15), rtol=1e-3)


def test_nuclei_disappear_where_nucleus_and_ring_are_equally_bright():
    image, mask = cell(0.8, 0.2, 64)
    cells = take_apart(image, mask, torch.tensor([1.0]), white_noise(torch.tensor([1]).int(), 1, 64, 64))
    frame = cells.layers[:, 0, :2].sum(1)
    assert (frame * mask).sum() / mask.sum() == pytest.approx(1, abs=0.06)
    assert abs(contrast(frame, mask[:, 0] > 0).item()) < 0.06
    assert frame[0, 24:40, 24:40].std() < 0.15
    assert cells.alone.all()


def test_neighbours_move_on_their_own():
    main, other = disc(30, 30, 8, 64), disc(30, 52, 6, 64)
    image, mask = 0.4 + 0.4 * (main + other), main + other
    clips = Translocation(drift=0.05).clips(image.expand(12, -1, -1, -1), mask.expand(12, -1, -1, -1), 0, range(12))
    at = torch.arange(64.0)
    left, right = clips.masks[:, -1, 0, :, :42], clips.masks[:, -1, 0, :, 42:]
    rows = [part.sum(2) @ at / part.sum((1, 2)) - 30 for part in (left, right)]
    assert (rows[0] - rows[1]).abs().mean() > 1
    assert abs(np.corrcoef(*rows)[0, 1]) < 0.8


def test_a_lone_cell_gets_a_neighbour_as_often_as_asked():
    image, mask = (part.expand(20, -1, -1, -1) for part in cell(size=64))
    for probability, fewest, most in ((0.0, 0, 0), (1.0, 15, 20)):
        clips = Translocation(neighbours=probability, frames=2).clips(image, mask, 0, range(20))
        more = (clips.masks[:, 0].sum((1, 2, 3)) > 1.05 * mask[0].sum()).sum()
        assert fewest <= more <= most


def test_a_later_start_is_a_later_part_of_the_same_experiment(phantom):
    images, masks = (part[:2] for part in phantom)
    whole = Translocation(**CLEAR).clips(images, masks, 0, [0, 1])
    later = Translocation(frames=6, start=(300.0, 300.0), **CLEAR).clips(images, masks, 0, [0, 1])
    torch.testing.assert_close(later.contrast, whole.contrast[:, 10:16])
    assert torch.equal(later.masks, whole.masks[:, 10:16])


def test_frames_follow_from_the_still_by_a_gradient(phantom):
    images, masks = (part[:2].clone() for part in phantom)
    images.requires_grad_()
    Translocation(frames=3).clips(images, masks, 0, [0, 1]).frames.sum().backward()
    assert images.grad.isfinite().all()
    assert images.grad.abs().sum() > 0


def test_selection():
    image, mask = cell(size=64)
    dim, spot = image * 0.05, torch.zeros_like(image)
    spot[..., 2, 2] = 1
    border, tiny = disc(5, 32, 9, 64), disc(32, 32, 2, 64)
    nothing = torch.zeros_like(mask)
    images = torch.cat([image, dim + spot, image, image, image, image])
    masks = torch.cat([mask, mask, border, tiny, nothing, (mask + border).clamp(max=1)])
    assert Translocation().select(images, masks).tolist() == [True, False, False, False, False, True]


def test_a_range_the_wrong_way_round_is_refused():
    with pytest.raises(UserError, match=r"light=\[9, 3\]"):
        Translocation(light=(9, 3))
