import itertools

import numpy as np
import pytest
import torch

from lexy.data.sampling import Batches
from lexy.data.sequences import draws
from lexy.randomness import CLIPS, generator
from lexy.tasks import starts
from lexy.tasks.mask_noise import UnbiasedNoise


def first(purpose, *key):
    return tuple(torch.randint(2**62, (2,), generator=generator(purpose, *key)).tolist())


def test_keys_of_any_length_and_purpose_have_streams_of_their_own():
    keys = [key for length in range(5) for key in itertools.product((0, 1, 2**31), repeat=length)]
    assert len({first(purpose, *key) for purpose in ("window", "order") for key in keys}) == 2 * len(keys)


def test_zeros_at_the_end_count():
    assert len({first("window", 3), first("window", 3, 7), first("window", 3, 7, 0), first("window", 3, 7, 0, 0)}) == 4


def test_the_courses_of_clips_are_those_of_earlier_versions():
    state = np.random.SeedSequence((3, 7)).generate_state(2, np.uint32)
    earlier = torch.Generator().manual_seed(int(state[0]) << 32 | int(state[1]))
    assert first(CLIPS, 3, 7) == tuple(torch.randint(2**62, (2,), generator=earlier).tolist())
    assert first(CLIPS, 3, 7) != first("window", 3, 7)


@pytest.fixture
def keys(monkeypatch):
    """Every key that the patched modules ask for."""
    asked = []

    def recorded(purpose, *key, **options):
        asked.append((purpose, *key))
        return generator(purpose, *key, **options)

    for module in ("lexy.data.sequences.draws", "lexy.data.sampling", "lexy.tasks.starts"):
        monkeypatch.setattr(f"{module}.generator", recorded)
    return asked


def order(seed):
    batches = Batches(range(3), 2, seed)
    for epoch in range(3):
        batches.set_epoch(epoch)
        list(batches)


USES = {
    "order of the stills": order,
    "course of a clip": lambda seed: draws.Draws(seed, [0, 1, 2**20]),
    "wrong start": lambda seed: [starts.PerturbedMask(UnbiasedNoise(), seed)._draw(name) for name in ("a", "b")],
}


@pytest.mark.parametrize("use", USES)
def test_each_use_has_one_purpose_and_no_key_twice(keys, use):
    for seed in (0, 1):
        USES[use](seed)
    assert len({purpose for purpose, *_ in keys}) == 1
    assert len(set(keys)) == len(keys) >= 4


def test_no_two_uses_share_a_purpose(keys):
    purposes = []
    for ask in USES.values():
        keys.clear()
        ask(0)
        purposes.append(keys[0][0])
    assert len(set(purposes)) == len(USES)
