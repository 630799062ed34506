from functools import partial

import pytest
import torch
from recording_network import Recording, clip

from lexy.errors import UserError
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla
from lexy.tasks.inference import Forward, Predictor
from lexy.tasks.mask_noise import UnbiasedNoise
from lexy.tasks.starts import PerturbedMask, PredictedMask, TrueMask, counted, started

UNET = partial(UNet, partial(Vanilla, width=4, depth=2))


def discs(batch: int = 3, time: int = 1) -> dict:
    at = torch.arange(32.0) - 15.5
    disc = ((at[:, None] ** 2 + at**2) < 64).float()
    return clip(batch, time, 32) | {"masks": disc.expand(batch, time, 1, 32, 32).clone()}


def test_truth_is_the_first_mask_and_does_not_count():
    data = clip(2, 3)
    data["masks"] += 0.5
    state = TrueMask().state(Recording(), data)
    assert (state.mask == 0.5).all()
    assert counted(data, TrueMask())["labelled"].tolist() == [[False, True, True]] * 2
    assert data["labelled"].all()


def test_truth_on_stills_would_be_the_answer():
    with pytest.raises(UserError, match="start=perturbed"):
        TrueMask().state(Recording(), clip(1, 1))


def test_a_video_without_a_first_mask_is_named():
    data = clip(2, 3)
    data["labelled"][1, 0] = False
    for start in (TrueMask(), PerturbedMask(UnbiasedNoise())):
        with pytest.raises(UserError, match="v1 has none"):
            start.state(Recording(), data)


def test_perturbed_masks_and_reference_differ_from_the_truth_and_from_each_other():
    data = discs()
    state = PerturbedMask(UnbiasedNoise()).state(Recording(), data)
    truth = data["masks"][:, 0]
    for one, other in ((state.mask, truth), (state.reference, truth), (state.mask, state.reference)):
        assert (one != other).flatten(1).any(1).all()
    assert counted(data, PerturbedMask(UnbiasedNoise()))["labelled"].all()


def test_on_a_clip_only_the_mask_is_perturbed_and_its_frame_does_not_count():
    data, start = discs(2, 3), PerturbedMask(UnbiasedNoise())
    state = start.state(Recording(), data)
    assert torch.equal(state.frame, data["frames"][:, 0])
    assert torch.equal(state.mask, state.reference)
    assert not torch.equal(state.mask, data["masks"][:, 0])
    assert counted(data, start)["labelled"].tolist() == [[False, True, True]] * 2


def test_perturbed_draws_hang_on_the_clip_not_on_its_batch():
    start, data = PerturbedMask(UnbiasedNoise()), discs()
    alone = {key: value[1:2] for key, value in data.items()}
    together, single = start.state(Recording(), data), start.state(Recording(), alone)
    assert torch.equal(together.mask[1:2], single.mask)
    other = PerturbedMask(UnbiasedNoise(), seed=1).state(Recording(), alone)
    assert not torch.equal(other.mask, single.mask)


def test_a_predicted_start_looks_at_no_mask():
    torch.manual_seed(0)
    network, data = UNET(), discs(2, 3)
    state = PredictedMask(network).state(Recording(), data)
    torch.testing.assert_close(state.mask, network(data["frames"][:, 0]).sigmoid())
    data["masks"][:] = torch.nan
    torch.testing.assert_close(PredictedMask(network).state(Recording(), data).mask, state.mask)


def test_a_network_without_a_mask_starts_by_itself():
    assert started(UNET(), clip(1, 1, 32), TrueMask()) == ()


class TestPredictor:
    def test_runs_freely_from_its_start_in_parts_of_a_batch(self):
        data = clip(19, 4)
        logits = Predictor(Recording(), TrueMask(), Forward())(data)
        mask, expected = data["masks"][:, 0], []
        for time in range(4):
            expected.append(mask + data["frames"][:, time])
            mask = expected[-1].sigmoid()
        torch.testing.assert_close(logits, torch.stack(expected, dim=1))

    def test_one_step_gives_each_frame_the_true_mask_before_it(self):
        data = clip(2, 4)
        data["labelled"][1, 1] = False
        logits = Predictor(Recording(), TrueMask(), Forward()).one_step(data)
        masks, frames = data["masks"], data["frames"]
        torch.testing.assert_close(logits[:, 1], masks[:, 0] + frames[:, 1])
        torch.testing.assert_close(logits[0, 2], masks[0, 1] + frames[0, 2])
        torch.testing.assert_close(logits[1, 2], logits[1, 1].sigmoid() + frames[1, 2])  # no mask: its own

    def test_the_future_and_later_truth_are_not_looked_at(self):
        data = clip(2, 4)
        predict = Predictor(Recording(), TrueMask(), Forward())
        before = predict(data)
        data["masks"][:, 1:] = 7
        data["frames"][:, 3] = 9
        torch.testing.assert_close(predict(data)[:, :3], before[:, :3])
