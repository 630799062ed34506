import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lexy.errors import UserError
from lexy.predict.tiles import Tiles

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
    numbers = torch.tensor([len(tiles) - 1, 0])
    assert (tiles.cut(field, numbers) == cut[numbers]).all()


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
