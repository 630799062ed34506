import math

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from lexy.config.compose import config_folder
from lexy.tasks.losses import CombinedLoss, DiceLoss, WeightedBCELoss, without_unknown

# p = 0.5, 0.75, 0.25, 0.5 on the truth 1, 1, 0, 0
LOGITS = torch.tensor([0.0, math.log(3), -math.log(3), 0.0]).view(1, 1, 2, 2)
MASKS = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
# As conf/loss has them
LOSSES = {path.stem: instantiate(OmegaConf.load(path)) for path in sorted((config_folder() / "loss").glob("*.yaml"))}


def test_dice_by_hand():
    # Σpt = 1.25, Σp = 2, Σt = 2: 1 − (2.5 + 1) / (4 + 1)
    assert DiceLoss()(LOGITS, MASKS).item() == pytest.approx(1 - 3.5 / 5)


def test_dice_is_over_the_flattened_batch_not_the_mean_of_its_images():
    logits = torch.cat([LOGITS, torch.full_like(LOGITS, -100)])
    masks = torch.cat([MASKS, torch.zeros_like(MASKS)])
    assert DiceLoss()(logits, masks).item() == pytest.approx(1 - 3.5 / 5)


def test_bce_by_hand():
    # −ln p or −ln(1 − p) with weights 2, 2, 1, 1, divided by the number of pixels
    expected = (2 * math.log(2) - 2 * math.log(0.75) - math.log(0.75) + math.log(2)) / 4
    assert WeightedBCELoss()(LOGITS, MASKS).item() == pytest.approx(expected)


def test_combined_is_the_sum():
    expected = DiceLoss()(LOGITS, MASKS) + WeightedBCELoss()(LOGITS, MASKS)
    assert CombinedLoss()(LOGITS, MASKS).item() == pytest.approx(expected.item())


def test_dice_focal_by_hand():
    # Dice as above but smoothed by 1e-5; the mean of (1 − q)² · −ln q, q = 0.5, 0.75, 0.75, 0.5 of the truth
    focal = (2 * 0.5**2 * math.log(2) - 2 * 0.25**2 * math.log(0.75)) / 4
    assert LOSSES["dice_focal"](LOGITS, MASKS).item() == pytest.approx(1 - 2.5 / 4 + focal, abs=1e-5)


def test_tversky_by_hand():
    # On the truth 1, 1, 1, 0: Σpt = 1.5, Σp(1 − t) = 0.5, Σ(1 − p)t = 1.5
    masks = torch.tensor([1.0, 1.0, 1.0, 0.0]).view(1, 1, 2, 2)
    expected = 1 - 1.5 / (1.5 + 0.3 * 0.5 + 0.7 * 1.5)
    assert LOSSES["tversky"](LOGITS, masks).item() == pytest.approx(expected, abs=1e-5)


def test_hausdorff_by_hand():
    # Mean of (p − t)² · (a² + b²): a the distance to the outline of p > 0.5, which is the second pixel, b to that of t
    errors, of_prediction, of_truth = (0.25, 0.0625, 0.0625, 0.25), (1, 1, 2, 1), (1, 1, 1, 1)
    expected = sum(e * (a + b) for e, a, b in zip(errors, of_prediction, of_truth, strict=True)) / 4
    assert LOSSES["hausdorff"](LOGITS, MASKS).item() == pytest.approx(expected)


@pytest.mark.parametrize("truth", [0.0, 1.0])
@pytest.mark.parametrize("predicted", [-20.0, 0.0, 20.0])
@pytest.mark.parametrize("name", LOSSES)
def test_empty_and_full_masks_have_a_finite_loss_and_gradient(name, predicted, truth):
    logits = torch.full((2, 1, 8, 8), predicted, requires_grad=True)
    value = LOSSES[name](logits, torch.full((2, 1, 8, 8), truth))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_truth_costs_nothing_and_its_opposite_most(loss):
    right, wrong = 200 * MASKS - 100, 100 - 200 * MASKS
    assert loss(right, MASKS).item() == pytest.approx(0, abs=1e-6)
    assert loss(wrong, MASKS) > loss(LOGITS, MASKS) > 0.1


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_pixels_of_which_nothing_is_known_count_in_no_loss_and_get_no_gradient(loss):
    known = torch.tensor([True, True, False, True]).view(1, 1, 2, 2)
    logits = LOGITS.clone().requires_grad_()
    value = loss(without_unknown(logits, MASKS, known), MASKS)
    other = loss(without_unknown(torch.where(known, LOGITS, 50.0), MASKS, known), MASKS)
    assert value.item() == other.item()
    value.backward()
    assert (logits.grad != 0).tolist() == known.tolist()


def test_dice_of_what_is_known_is_that_of_an_image_without_the_rest():
    known = torch.tensor([True, True, False, False]).view(1, 1, 2, 2)
    value = DiceLoss()(without_unknown(LOGITS, MASKS, known), MASKS)
    assert value.item() == pytest.approx(DiceLoss()(LOGITS[:, :, :1], MASKS[:, :, :1]).item())
