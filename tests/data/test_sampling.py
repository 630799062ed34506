from collections import Counter
from itertools import chain

import torch

from lexy.data.sampling import Batches, Numbers, batch_loader, drawn_row


def test_order_is_a_function_of_seed_and_epoch():
    batches = Batches(range(10), 4, seed=3)
    first = list(batches)
    torch.rand(3)
    assert list(batches) == first
    batches.set_epoch(1)
    second = list(batches)
    assert second != first
    assert sorted(chain.from_iterable(second)) == list(range(10))
    assert [len(batch) for batch in second] == [4, 4, 2]
    assert list(chain.from_iterable(Batches(range(10), 4))) == list(range(10))


def test_an_interrupted_epoch_goes_on_with_the_batches_that_are_left():
    batches = Batches(range(10), 4, seed=3)
    every = list(batches)
    batches.done = 2
    assert list(batches) == every[2:]
    assert list(batches) == every  # the next epoch is whole again


def test_an_endless_epoch_goes_on_where_the_one_before_it_ended():
    endless, again = (Numbers(7, 5, 2, endless=endless) for endless in (True, False))
    assert list(endless) == list(again) == [[7, 8], [9, 10], [11]]
    for numbers in (endless, again):
        numbers.set_epoch(2)
    assert list(endless) == [[17, 18], [19, 20], [21]]
    assert list(again) == [[7, 8], [9, 10], [11]]


def test_every_row_is_drawn_once_before_any_is_drawn_again():
    rows = [3, 5, 8, 13]
    drawn = [drawn_row(rows, number, seed=1) for number in range(40)]
    for turn in range(10):
        assert sorted(drawn[4 * turn : 4 * turn + 4]) == rows
    assert len({tuple(drawn[4 * turn : 4 * turn + 4]) for turn in range(10)}) > 1
    assert drawn_row(rows, 17, seed=1) == drawn[17]
    assert Counter(drawn_row(rows, 0, seed) for seed in range(40)).keys() == set(rows)


def test_a_loader_makes_each_batch_as_a_whole():
    asked = []
    loader = batch_loader(
        lambda numbers: asked.append(numbers) or {"frame": torch.tensor(numbers)}, Batches(range(5), 3)
    )
    assert [batch["frame"].tolist() for batch in loader] == asked == [[0, 1, 2], [3, 4]]
