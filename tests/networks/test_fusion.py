from functools import partial

import pytest
import torch

from lexy.networks.fusion import Fusion
from lexy.networks.network import Recurrence
from lexy.networks.rollout import rollout
from lexy.networks.tracknet import TrackNet
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla

CONFIDENT = 8.0


def disc(row: float = 32, column: float = 32, radius: float = 9) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    return ((rows - row) ** 2 + (columns - column) ** 2 < radius**2).float()[None, None]


class Says(Recurrence):
    """A network that gives the logits it was made with, and keeps the mask that it is told."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def start(self, frame, mask=None):
        return mask

    def step(self, state, frame):
        return self.logits.expand(len(frame), -1, -1, -1), state

    def with_mask(self, state, mask):
        return mask

    def feed_back(self, logits):
        return logits.sigmoid()


class Carries(Says):
    """The same, and it says that it wants a mask."""

    needs_mask = True


def sure(mask: torch.Tensor) -> torch.Tensor:
    return (2 * mask - 1) * CONFIDENT


def frame(contrast: float) -> torch.Tensor:
    cell = disc(radius=26) * 0.4
    return cell * (1 + 2 * contrast / (1 - contrast) * disc())


def fused(own: torch.Tensor, propagated: torch.Tensor, contrast: float = 0.5) -> torch.Tensor:
    fusion = Fusion(Says(own), Carries(propagated))
    image = frame(contrast)
    logits, _ = fusion.step(fusion.start(image, disc()), image)
    return logits.sigmoid()


def weight(own: torch.Tensor, propagated: torch.Tensor, contrast: float = 0.5) -> float:
    """How much the frame network counts, read off the pixel where the two differ most."""
    p, q, r = own.sigmoid(), propagated.sigmoid(), fused(own, propagated, contrast)
    at = (p - q).abs().argmax()
    return float(((r - q) / (p - q)).flatten()[at])


def test_two_that_agree_are_left_alone():
    torch.testing.assert_close(fused(sure(disc()), sure(disc())), sure(disc()).sigmoid(), rtol=0, atol=1e-5)


def test_without_contrast_the_propagated_mask_counts_and_with_it_both():
    own, propagated = sure(disc(34)), sure(disc(30))
    assert weight(own, propagated, 0.0) < 0.1
    assert 0.3 < weight(own, propagated, 0.5) < 0.5


def test_a_frame_network_that_jumps_to_a_neighbour_counts_for_little():
    assert weight(sure(disc(12, 50)), sure(disc())) < 0.1


def test_a_propagated_mask_that_shrank_away_loses_to_the_frame_network():
    assert weight(sure(disc()), sure(disc(radius=2))) > 0.9


def test_one_that_is_not_decided_counts_for_less():
    hesitant = (2 * disc() - 1) * 0.3
    assert weight(hesitant, sure(disc())) < 0.25
    assert weight(sure(disc()), hesitant) > 0.6


def test_nothing_found_by_either_is_no_error():
    nothing = torch.full((1, 1, 64, 64), -CONFIDENT)
    assert fused(nothing, nothing).max() < 0.01


def test_what_is_fused_is_propagated():
    fusion = Fusion(Says(sure(disc(34))), Carries(sure(disc(30))))
    image = frame(0.5)
    logits, state = fusion.step(fusion.start(image, disc()), image)
    torch.testing.assert_close(state.propagating, logits.sigmoid(), rtol=0, atol=1e-5)


def test_an_implausible_mask_does_not_become_the_measure_of_the_next():
    fusion = Fusion(Says(sure(disc(12, 50, 4))), Carries(sure(disc(12, 50, 4))))
    image = frame(0.5)
    state = fusion.start(image, disc())
    _, after = fusion.step(state, image)
    assert after.trusted[0].tolist() == pytest.approx([0.9 * 249 + 0.1 * 45, 30, 33.8], abs=0.5)  # a tenth of the way
    keeps = Fusion(fusion.frame_network, fusion.propagating_network, ageing=0)
    _, after = keeps.step(keeps.start(image, disc()), image)
    assert torch.equal(after.trusted, state.trusted)
    steady = Fusion(Says(sure(disc(33))), Carries(sure(disc(33))))
    _, after = steady.step(steady.start(image, disc()), image)
    assert after.trusted[0, 1] == pytest.approx(33, abs=0.1)


def test_of_networks_rolls_out_over_a_batch():
    torch.manual_seed(0)
    backbone = partial(Vanilla, width=4, depth=2)
    fusion = Fusion(UNet(backbone), TrackNet(backbone)).eval()
    frames = torch.rand(3, 4, 1, 40, 48)
    mask = torch.zeros(3, 1, 40, 48)
    mask[..., 10:30, 10:30] = 1
    with torch.no_grad():
        together = rollout(fusion, frames, mask)
        alone = torch.cat([rollout(fusion, frames[[i]], mask[[i]]) for i in range(3)])
    assert together.shape == frames.shape
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="mask of the first frame"):
        fusion.start(frames[:, 0])


def test_networks_in_the_wrong_place_are_refused():
    torch.manual_seed(0)
    backbone = partial(Vanilla, width=4, depth=2)
    with pytest.raises(ValueError, match="TrackNet carries a mask"):
        Fusion(TrackNet(backbone), TrackNet(backbone))
    with pytest.raises(ValueError, match="UNet carries no mask"):
        Fusion(UNet(backbone), UNet(backbone))


def test_a_start_mask_of_half_the_size_does_not_lock_the_gate():
    """What both networks see by now becomes the measure, though nothing like the start."""
    fusion = Fusion(Says(sure(disc())), Carries(sure(disc())))
    image, half = frame(0.8), disc(radius=9 / 2**0.5)
    state = fusion.start(image, half)
    for _ in range(20):
        _, state = fusion.step(state, image)
    assert float(state.trusted[0, 0] / disc().sum()) == pytest.approx(1, abs=0.01)


def test_an_empty_mask_is_nothing_to_age_towards():
    nothing = torch.full((1, 1, 64, 64), -20.0)
    fusion = Fusion(Says(nothing), Carries(nothing))
    image = frame(0.5)
    state = fusion.start(image, disc())
    _, after = fusion.step(state, image)
    assert torch.equal(after.trusted, state.trusted)
