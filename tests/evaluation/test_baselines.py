import numpy as np
import pytest
import torch
from skimage.filters import threshold_li, threshold_otsu

from lexy.data.phantom import phantom_field
from lexy.evaluation.baselines import CopiedMask, Li, MovedMask, Otsu
from lexy.evaluation.overlap import overlap
from lexy.networks.rollout import rollout

SHIFTS = [(0, 0), (3, -2), (6, 5), (-7, 1)]


def clip(height: int = 96, width: int = 112) -> tuple[torch.Tensor, torch.Tensor]:
    """A cell that moves by `SHIFTS`, its nucleus turning dark: frames (1, T, 1, H, W) and masks."""
    rows, columns = np.mgrid[:height, :width]
    texture = np.random.default_rng(0).uniform(0.7, 1, (height, width))
    cell = (((rows - 45) / 30) ** 2 + ((columns - 55) / 36) ** 2 < 1) * texture
    nucleus = ((rows - 42) / 11) ** 2 + ((columns - 52) / 14) ** 2 < 1
    frames, masks = [], []
    for (down, across), ratio in zip(SHIFTS, (2.0, 1.3, 0.6, 0.4), strict=True):
        frames.append(np.roll(cell * np.where(nucleus, ratio, 1), (down, across), (0, 1)))
        masks.append(np.roll(nucleus, (down, across), (0, 1)))
    return (torch.from_numpy(np.stack(images)[None, :, None].astype(np.float32)) for images in (frames, masks))


def dice(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    return overlap((logits >= 0)[0, :, 0], masks[0, :, 0] > 0.5)["dice"]


def test_a_copied_mask_is_the_first_one():
    frames, masks = clip()
    logits = rollout(CopiedMask(), frames, masks[:, 0])
    assert torch.equal((logits >= 0).float(), masks[:, :1].expand_as(masks))


def test_a_moved_mask_follows_the_cell_where_its_contrast_inverts():
    frames, masks = clip()
    moved = dice(rollout(MovedMask(), frames, masks[:, 0]), masks)
    assert moved.min() > 0.99
    assert dice(rollout(CopiedMask(), frames, masks[:, 0]), masks)[2:].max() < 0.8


def test_a_moved_mask_stays_within_reach_and_clips_do_not_see_each_other():
    frames, masks = clip()
    other = frames.flip(1)
    both = rollout(MovedMask(), torch.cat([frames, other]), torch.cat([masks[:, 0], masks[:, -1]]))
    alone = rollout(MovedMask(), other, masks[:, -1])
    assert torch.equal(both[1:], alone)
    near = rollout(MovedMask(reach=0.02), frames, masks[:, 0])
    centre = [np.argwhere(mask.numpy() >= 0).mean(0) for mask in near[0, :, 0]]
    assert np.abs(np.array(centre) - centre[0]).max() <= 2.1


def test_a_mask_that_moves_out_of_the_image_does_not_come_back():
    frames, masks = (torch.roll(images, -30, 3) for images in clip())
    moved = rollout(MovedMask(), frames, masks[:, 0])
    assert not (moved[..., -8:, :] >= 0).any()


@pytest.mark.parametrize(("baseline", "rule"), [(Otsu, threshold_otsu), (Li, threshold_li)])
def test_thresholds_are_those_of_each_frame(baseline, rule):
    images = [phantom_field(0, i, size=96).protein.astype(np.float32) / 255 for i in range(2)]
    frames = torch.from_numpy(np.stack(images))[None, :, None]
    masks = rollout(baseline(), frames) >= 0
    for mask, image in zip(masks[0, :, 0], images, strict=True):
        assert np.array_equal(mask.numpy(), image > rule(image))


@pytest.mark.parametrize("baseline", [Otsu, Li])
def test_a_frame_of_one_brightness_has_no_nucleus(baseline):
    assert not (rollout(baseline(), torch.full((1, 2, 1, 16, 16), 0.3)) >= 0).any()


@pytest.mark.parametrize("baseline", [CopiedMask, MovedMask])
def test_a_missing_first_mask_is_named(baseline):
    with pytest.raises(ValueError, match="mask of the first frame: give one"):
        baseline().start(torch.rand(1, 1, 16, 16))
