import itertools

import pytest
import torch

from lexy.data.sampling import Batches
from lexy.data.sequences import draws
from lexy.randomness import generator
from lexy.tasks import starts
from lexy.tasks.mask_noise import UnbiasedNoise


def first(*key):
    return tuple(torch.randint(2**62, (2,), generator=generator(*key)).tolist())


def test_zeros_at_the_end_of_a_short_key_do_not_count():
    assert first(3) == first(3, 0) == first(3, 0, 0, 0)
    assert len({first(3), first(3, 1), first(3, 0, 1), first(0, 3), first(3, 0, 0, 0, 1)}) == 5


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_keys_of_one_length_have_streams_of_their_own(length):
    keys = list(itertools.product((0, 1, 2**31), repeat=length))
    assert len({first(*key) for key in keys}) == len(keys)


@pytest.fixture
def keys(monkeypatch):
    """Every key that the patched modules ask for."""
    asked = []

    def recorded(*key, **options):
        asked.append(key)
        return generator(*key, **options)

    for module in ("lexy.data.sequences.draws", "lexy.data.sampling", "lexy.tasks.starts"):
        monkeypatch.setattr(f"{module}.generator", recorded)
    return asked


def order(seed):
    batches = Batches(range(3), 2, seed)
    for epoch in range(3):
        batches.set_epoch(epoch)
        list(batches)


USES = {
    "order of the stills": (2, order),
    "course of a clip": (2, lambda seed: draws.Draws(seed, [0, 1, 2**20])),
    "wrong start": (2, lambda seed: [starts.PerturbedMask(UnbiasedNoise(), seed)._draw(name) for name in ("a", "b")]),
}


@pytest.mark.parametrize("use", USES)
def test_each_use_has_keys_of_one_length_and_none_twice(keys, use):
    length, ask = USES[use]
    for seed in (0, 1):
        ask(seed)
    assert {len(key) for key in keys} == {length}
    assert len(set(keys)) == len(keys) >= 4
