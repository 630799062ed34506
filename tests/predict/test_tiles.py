from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_video import Bright, Carry

from lexy.errors import UserError
from lexy.networks.fusion import Fusion
from lexy.networks.movenet import MoveNet
from lexy.networks.network import Recurrence
from lexy.networks.rollout import rollout
from lexy.networks.siamnet import SiamNet
from lexy.networks.tracknet import TrackNet
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla
from lexy.predict.tiles import TiledNetwork, Tiles

SIDES = st.integers(1, 90)


@settings(max_examples=80)
@given(SIDES, SIDES, st.integers(1, 40), st.integers(1, 40), st.floats(0, 0.9))
def test_what_is_cut_is_put_together_again(height, width, tall, wide, overlap):
    tiles = Tiles((height, width), (tall, wide), overlap)
    field = torch.rand(height, width)
    cut = tiles.cut(field)
    assert cut.shape == (len(tiles), 1, tall, wide)
    torch.testing.assert_close(tiles.blend(cut), field)
    torch.testing.assert_close(tiles.blend(torch.ones_like(cut)), torch.ones(height, width))


@settings(max_examples=80)
@given(st.integers(20, 300), st.floats(0, 0.9))
def test_neighbours_overlap_as_asked(side, overlap):
    starts = Tiles((side, 20), (20, 20), overlap)._rows.target[:, 0]
    assert starts[0] == 0
    assert starts[-1] == side - 20
    assert (starts.diff() <= 20 - 20 * overlap + 1).all()


def test_tiles_agree_less_towards_their_rims():
    # Two tiles of 8 at 0 and 4, one of zeros and one of ones: what they share goes smoothly from one to the other.
    tiles = Tiles((8, 12), (8, 8), 0.5)
    blended = tiles.blend(torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)]))
    assert blended[0, :4].tolist() == [0] * 4
    assert blended[0, 8:].tolist() == [1] * 4
    # sin² of the second tile over the sum with that of the first, by hand
    angles = torch.tensor([0.5, 1.5, 2.5, 3.5]) * torch.pi / 8
    second, first = angles.sin() ** 2, (angles + torch.pi / 2).sin() ** 2
    torch.testing.assert_close(blended[3, 4:8], second / (first + second))


def test_a_field_smaller_than_a_tile_is_reflected():
    cut = Tiles((1, 3), (1, 7)).cut(torch.tensor([[1.0, 2, 3]]))
    assert cut.flatten().tolist() == [1, 2, 3, 3, 2, 1, 1]


def test_an_overlap_that_cannot_be():
    with pytest.raises(UserError, match="overlap=1"):
        Tiles((9, 9), (3, 3), 1.0)


class Bump(Recurrence):
    """Adds its state's mean to what is carried: tiles of one field would drift apart."""

    needs_mask = True

    def start(self, frame, mask=None):
        return mask

    def step(self, state, frame):
        mean = state.mean(dim=(2, 3), keepdim=True).expand_as(state)
        return torch.logit((state + mean) / 2, eps=1e-4), mean

    def with_mask(self, state, mask):
        return mask

    def feed_back(self, logits):
        return logits.sigmoid()


def test_each_tile_goes_on_from_the_blended_mask():
    tiles = Tiles((8, 12), (8, 8), 0.5)
    mask = torch.zeros(8, 12)
    mask[:, :4] = 1
    network = TiledNetwork(Bump(), tiles)
    probability, states = network.step(network.start(mask, mask), mask)
    torch.testing.assert_close(torch.cat(states), tiles.cut(probability))
    # soft feedback, and the first tile's mean of 1/2 is in it: 3/4 and 1/4 on the left, 0 on the far right
    torch.testing.assert_close(probability[0, 0], torch.tensor(0.75))
    assert probability[0, -1] < 1e-3


class HardCarry(Carry):
    """Cuts what it carries at one half, and says so by its method alone."""

    def feed_back(self, logits):
        return (logits >= 0).float()


def test_hard_feedback_is_kept_hard():
    tiled = TiledNetwork(HardCarry(), Tiles((8, 8), (8, 8)))
    mask = torch.full((8, 8), 0.7)
    _, states = tiled.step(tiled.start(mask, mask), mask)
    assert states[0].unique().tolist() == [1]


def test_many_chunks_give_what_one_gives():
    frame = torch.rand(300, 500)
    network = TiledNetwork(Bright(), Tiles((300, 500), (64, 64)))
    assert len(network.start(frame)) > 1
    probability, _ = network.step(network.start(frame), frame)
    torch.testing.assert_close(probability, (40 * (frame - 0.5)).sigmoid())


def vanilla():
    return partial(Vanilla, width=2, depth=2)


@pytest.mark.parametrize(
    "build",
    [
        lambda: UNet(vanilla()),
        lambda: TrackNet(vanilla()),
        lambda: SiamNet(vanilla(), reference="contrast"),
        lambda: MoveNet(vanilla()),
        lambda: Fusion(UNet(vanilla()), TrackNet(vanilla(), feedback="soft")),
    ],
    ids=["unet", "tracknet", "siamnet", "movenet", "fusion"],
)
def test_every_network_goes_over_a_field_of_one_tile_as_over_a_clip(build):
    torch.manual_seed(0)
    network, frames, mask = build().eval(), torch.rand(3, 16, 16), torch.zeros(16, 16)
    mask[4:12, 4:12] = 1
    expected = rollout(network, frames[None, :, None], mask[None, None]).sigmoid()[0, :, 0]
    tiled = TiledNetwork(network, Tiles((16, 16), (16, 16)))
    states = tiled.start(frames[0], mask)
    for frame, wanted in zip(frames, expected, strict=True):
        probability, states = tiled.step(states, frame)
        torch.testing.assert_close(probability, wanted.detach(), rtol=1e-3, atol=1e-3)
