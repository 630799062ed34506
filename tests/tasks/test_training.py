from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_network import Recording, clip

from lexy.errors import UserError
from lexy.networks.network import FOREGROUND, Network
from lexy.networks.tracknet import TrackNet
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla
from lexy.randomness import generator
from lexy.tasks.mask_noise import PublishedNoise, UnbiasedNoise
from lexy.tasks.training import OneStep, Unrolled, WholeClips

BACKBONE = partial(Vanilla, width=4, depth=2, normalization="group")


class Marked:
    """Noise that can be told apart: previous masks + 1, reference frames + 2, reference masks + 3."""

    def previous(self, masks, draw):
        return masks + 1

    def reference(self, frames, masks, draw):
        return frames + 2, masks + 3

    def pair(self, frames, masks, draw):
        return self.previous(masks, draw), *self.reference(frames, masks, draw)


def discs(batch: int = 4, time: int = 6) -> dict:
    at = torch.arange(32.0) - 15.5
    disc = ((at[:, None] ** 2 + at**2) < 64).float()
    masks = disc.expand(batch, time, 1, 32, 32).clone()
    return clip(batch, time, 32) | {"masks": masks, "frames": masks * 0.5 + 0.1}


def first(masks):
    """Index of the frame in a recorded mask t / 100."""
    return [round(value * 100) for value in masks[:, 0, 0, 0].tolist()]


class TestOneStep:
    def test_previous_mask_and_reference_are_the_noise_of_the_same_frame(self):
        network = Recording()
        (term,) = OneStep(Marked())(network, clip(1, 3), generator("test", 0), 0.0)
        assert term.target.masks[:, 0, 0, 0].tolist() == pytest.approx([0, 0.01, 0.02])
        (seen,) = network.seen
        assert seen[:, 0, 0, 0].tolist() == pytest.approx([1, 1.01, 1.02])
        assert term.logits[:, 0, 0, 0].tolist() == pytest.approx([1, 2.01, 3.02])

    def test_unlabelled_frames_are_left_out(self):
        data = clip(2, 3)
        data["labelled"][0, 1] = False
        (term,) = OneStep(Marked())(Recording(), data, generator("test", 0), 0.0)
        assert [round(v * 100) for v in term.target.masks[:, 0, 0, 0].tolist()] == [0, 2, 0, 1, 2]

    @pytest.mark.parametrize("frames", [1, 3, 9])
    def test_draws_so_many_frames_of_each_clip(self, frames):
        data = clip(3, 6)
        data["labelled"][0, 1:] = False
        (term,) = OneStep(Marked(), frames=frames)(Recording(), data, generator("test", frames), 0.0)
        assert len(term.target.masks) == 1 + 2 * min(frames, 6)

    def test_passes_are_without_gradient_in_evaluation_mode_and_feed_the_own_soft_mask(self):
        counts = set()
        for seed in range(30):
            network = Recording().train()
            (term,) = OneStep(Marked(), passes=2)(network, clip(1, 1), generator("test", seed), 0.0)
            counts.add(len(network.seen) - 1)
            assert network.modes == [(False, False)] * (len(network.seen) - 1) + [(True, True)]
            assert network.training
            for before, after in zip(network.seen, network.seen[1:], strict=False):
                torch.testing.assert_close(after, before.sigmoid())  # frame 0 is 0, the weight is 1
            assert term.logits.requires_grad
        assert counts == {0, 1, 2}

    def test_a_frame_network_sees_each_frame_alone(self):
        torch.manual_seed(0)
        network, data = UNet(BACKBONE).eval(), discs()
        (term,) = OneStep(Marked(), passes=3)(network, data, generator("test", 0), 0.0)
        torch.testing.assert_close(term.logits, network(data["frames"].flatten(0, 1)))


class TestUnrolled:
    @settings(max_examples=60)
    @given(st.integers(2, 9), st.integers(2, 8), st.integers(1, 4), st.integers(0, 2**20))
    def test_a_window_is_evenly_spaced_inside_the_clip_and_in_the_order_asked_for(self, time, length, skip, seed):
        for reverse in (0.0, 1.0):
            (term,) = Unrolled(None, [length], skip, reverse)(Recording(), clip(3, time), generator("test", seed), 0.0)
            windows = (term.target.masks[:, 0, 0, 0] * 100).round().long().view(3, -1)
            assert windows.shape[1] == min(length, time)
            steps = windows.diff(dim=1)
            assert (steps == steps[:, :1]).all()
            assert ((steps.abs() >= 1) & (steps.abs() <= skip)).all()
            assert ((steps < 0) == bool(reverse)).all()
            assert (windows >= 0).all()
            assert (windows < time).all()

    def test_windows_reach_every_frame(self):
        seen = set()
        for seed in range(60):
            (term,) = Unrolled(None, [3])(Recording(), clip(4, 10), generator("test", seed), 0.0)
            seen |= set((term.target.masks[:, 0, 0, 0] * 100).round().long().tolist())
        assert seen == set(range(10))

    def test_windows_grow_with_the_training(self):
        way = Unrolled(None, [2, 3, 5])
        lengths = [
            len(way(Recording(), clip(1, 8), generator("test", 0), progress)[0].target.masks)
            for progress in (0, 0.3, 0.4, 0.7, 1.0)
        ]
        assert lengths == [2, 2, 3, 5, 5]

    def test_starts_from_the_truth_or_from_its_noise_and_then_feeds_its_own_soft_mask(self):
        for noise, extra in ((None, 0), (Marked(), 1)):
            network = Recording()
            (term,) = Unrolled(noise, [3], 1, 0.0)(network, clip(2, 6), generator("test", 1), 0.0)
            truth, logits = (part.unflatten(0, (2, 3)) for part in (term.target.masks, term.logits))
            torch.testing.assert_close(network.seen[0], truth[:, 0] + extra)
            torch.testing.assert_close(network.seen[1], logits[:, 0].sigmoid())

    @pytest.mark.parametrize(
        ("true_masks", "progress", "share"), [((1, 0), 0.0, 1), ((1, 0), 1.0, 0), ((0, 1), 0.5, 0.5)]
    )
    def test_scheduled_sampling_gives_the_true_mask_as_often_as_it_says(self, true_masks, progress, share):
        given_truth, total = 0, 0
        for seed in range(40):
            network = Recording()
            (term,) = Unrolled(None, [4], 1, 0.0, true_masks)(network, clip(4, 6), generator("test", seed), progress)
            truth = term.target.masks.unflatten(0, (4, 4))
            for time in range(1, 4):
                true = torch.isclose(network.seen[time], truth[:, time - 1]).flatten(1).all(1)
                given_truth, total = given_truth + int(true.sum()), total + len(true)
        assert given_truth / total == pytest.approx(share, abs=0.08 if 0 < share < 1 else 0)

    def test_a_lead_runs_before_the_window_without_gradient(self):
        leads = set()
        for seed in range(30):
            network = Recording()
            (term,) = Unrolled(None, [2], 1, 0.0, lead=3)(network, clip(2, 6), generator("test", seed), 0.0)
            lead = len(network.seen) - 2
            leads.add(lead)
            assert [gradient for _, gradient in network.modes] == [False] * lead + [True, True]
            window = (term.target.masks[:, 0, 0, 0] * 100).round().long().view(2, 2)
            assert (window[:, 0] >= lead).all()
            assert first(network.seen[0]) == (window[:, 0] - lead).tolist()  # the truth where the lead starts
        assert leads == {0, 1, 2, 3}

    def test_the_cycle_goes_back_to_the_first_frame_and_is_weighed(self):
        network = Recording()
        terms = Unrolled(None, [4], 1, 0.0, cycle=0.25)(network, clip(2, 4), generator("test", 0), 0.0)
        assert len(network.seen) == 4 + 3
        assert terms[1].weight == 0.25
        assert first(terms[1].target.masks) == [0, 0]
        state = terms[0].logits.unflatten(0, (2, 4))[:, 3].sigmoid()
        for frame in (2, 1, 0):
            logits = state + frame
            state = logits.sigmoid()
        torch.testing.assert_close(terms[1].logits, logits)

    def test_the_gradient_goes_back_through_time_unless_truncated(self):
        def gradient(truncate):
            network = Recording()
            (term,) = Unrolled(None, [4], 1, 0.0, truncate=truncate)(network, clip(1, 4), generator("test", 0), 0.0)
            term.logits[-1].sum().backward()
            return network.weight.grad.item(), float(network.seen[-1].sum())

        whole, _ = gradient(None)
        cut, last_mask = gradient(1)
        assert cut == pytest.approx(last_mask)  # d(mask · w) / dw with a constant mask
        assert whole > cut

    def test_recomputing_gives_the_same_loss_and_gradient(self):
        results = []
        for recompute in (False, True):
            torch.manual_seed(0)
            network = TrackNet(BACKBONE, feedback="soft")
            (term,) = Unrolled(UnbiasedNoise(), [4], recompute=recompute)(network, discs(), generator("test", 3), 0.0)
            term.logits.square().mean().backward()
            results.append((term.logits.detach(), [p.grad for p in network.parameters()]))
        torch.testing.assert_close(results[0], results[1])

    def test_a_frame_network_takes_part(self):
        (term,) = Unrolled(Marked(), [3])(UNet(BACKBONE), discs(), generator("test", 0), 0.0)
        assert len(term.logits) == 4 * 3

    @pytest.mark.parametrize("reverse", [0.0, 1.0])
    def test_a_window_begins_at_a_frame_with_a_mask(self, reverse):
        data = clip(8, 9)
        data["labelled"][:, ::2] = False
        for seed in range(10):
            network = Recording()
            (term,) = Unrolled(None, [4], skip=1, reverse=reverse)(network, data, generator("test", seed), 0.0)
            assert all(number % 2 for number in first(network.seen[0]))
            assert all(number % 2 for number in first(term.target.masks))

    def test_stills_and_masks_that_are_not_there_are_refused(self):
        with pytest.raises(UserError, match="Give data=synthetic"):
            Unrolled()(Recording(), clip(2, 1), generator("test", 0), 0.0)
        data = clip(2, 3)
        data["labelled"][:] = False
        with pytest.raises(UserError, match="some windows have none"):
            Unrolled()(Recording(), data, generator("test", 0), 0.0)


@pytest.mark.parametrize("way", [OneStep(PublishedNoise()), OneStep(UnbiasedNoise(), 2, 3), Unrolled(UnbiasedNoise())])
def test_draws_are_a_function_of_the_generator_alone(way):
    torch.manual_seed(0)
    network = TrackNet(BACKBONE).eval()
    same, again, other = (way(network, discs(), generator("test", seed), 0.5)[0].logits for seed in (1, 1, 2))
    assert torch.equal(same, again)
    assert not torch.equal(same, other)


class Ahead(Network):
    """The next frame, as a network that looks ahead sees it; times a weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def maps(self, frames, state):
        return {FOREGROUND: frames.roll(-1, dims=1) * self.weight, "next": frames.roll(-1, dims=1)}


def test_a_network_that_sees_whole_clips_learns_from_every_labelled_frame():
    data = clip(2, 4)
    data["labelled"][0, 1] = False
    data["instances"] = torch.arange(4).view(1, 4, 1, 1).expand(2, 4, 4, 4).int()
    (term,) = WholeClips()(Ahead(), data, generator("test", 0), 0.0)
    assert term.logits[:, 0, 0, 0].tolist() == [1, 3, 0, 1, 2, 3, 0]
    assert set(term.maps) == {FOREGROUND, "next"}
    assert term.target.instances[:, 0, 0].tolist() == [0, 2, 3, 0, 1, 2, 3]
    assert term.target.known is None
    assert term.logits.requires_grad


def test_whole_clips_start_from_the_true_mask_where_a_network_needs_one_and_learn_from_the_others():
    network, data = Recording(), clip(2, 3)
    data["masks"] = data["masks"] + 0.05
    (term,) = WholeClips()(network, data, generator("test", 0), 0.0)
    assert (network.seen[0] == data["masks"][:, 0]).all()
    torch.testing.assert_close(term.target.masks[:, 0, 0, 0], torch.tensor([0.06, 0.07, 0.06, 0.07]))


@pytest.mark.parametrize("unlabelled", [False, True])
def test_whole_clips_do_not_give_a_network_the_answer(unlabelled):
    data = clip(2, 3 if unlabelled else 1)
    data["labelled"][0, 0] = not unlabelled
    with pytest.raises(UserError, match="Recording needs the mask of the first frame, and learns from the others"):
        WholeClips()(Recording(), data, generator("test", 0), 0.0)


@pytest.mark.parametrize("way", [OneStep(PublishedNoise()), Unrolled()])
def test_ways_that_step_refuse_networks_that_see_whole_clips(way):
    with pytest.raises(UserError, match=r"Ahead sees whole clips.*Give training=clips"):
        way(Ahead(), clip(2, 3), generator("test", 0), 0.0)


def test_windows_take_what_is_known_and_the_instances_along():
    data = clip(2, 6)
    data["known"] = torch.ones(2, 6, 1, 4, 4, dtype=torch.bool)
    data["known"][:, 3] = False
    data["instances"] = data["frames"][:, :, 0].int()
    for seed in range(5):
        terms = Unrolled(None, [3], skip=2, cycle=0.5)(Recording(), data, generator("test", seed), 0.0)
        for term in terms:
            numbers = (term.target.masks * 100).round()
            assert torch.equal(term.target.instances, numbers[:, 0].int())
            assert torch.equal(term.target.known, numbers != 3)
