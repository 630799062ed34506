from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexy.data.splits import fold_groups, split_groups
from lexy.errors import UserError

groups = st.lists(st.text("abc/0", min_size=1), min_size=3, max_size=40, unique=True)
fractions = (
    st.lists(st.integers(0, 10), min_size=3, max_size=3)
    .filter(any)
    .map(lambda weights: tuple(weight / sum(weights) for weight in weights))
)
seeds = st.integers(0, 2**31)


@given(groups, fractions, seeds, st.randoms())
def test_splits_do_not_depend_on_order_or_repetition(groups, fractions, seed, random) -> None:
    split = split_groups(groups, fractions, seed)
    again = [*groups, *groups]
    random.shuffle(again)
    assert split_groups(again, fractions, seed) == split
    assert set(split) == set(groups)


@given(groups, fractions, seeds)
def test_every_share_gets_its_part(groups, fractions, seed) -> None:
    counts = Counter(split_groups(groups, fractions, seed).values())
    for name, share in zip(("train", "val", "test"), fractions, strict=True):
        assert (counts[name] > 0) == (share > 0)
        assert abs(counts[name] - share * len(groups)) < 3


def test_published_shares() -> None:
    counts = Counter(split_groups([str(at) for at in range(100)], (0.8, 0.1, 0.1), 0).values())
    assert counts == {"train": 80, "val": 10, "test": 10}


def test_the_seed_matters() -> None:
    names = [str(at) for at in range(30)]
    assert split_groups(names, (0.5, 0.25, 0.25), 0) != split_groups(names, (0.5, 0.25, 0.25), 1)
    assert fold_groups(names, 5, 0) != fold_groups(names, 5, 1)


@given(groups, st.integers(2, 8), seeds, st.randoms())
def test_folds_are_balanced_and_independent_of_order(groups, folds, seed, random) -> None:
    if len(groups) < folds:
        with pytest.raises(UserError, match=f"folds={folds}"):
            fold_groups(groups, folds, seed)
        return
    dealt = fold_groups(groups, folds, seed)
    sizes = Counter(dealt.values())
    assert set(sizes) == set(range(folds))
    assert max(sizes.values()) - min(sizes.values()) <= 1
    shuffled = list(groups)
    random.shuffle(shuffled)
    assert fold_groups(shuffled, folds, seed) == dealt


@pytest.mark.parametrize("bad", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1), (0.5, 0.5), (float("nan"), 0.5, 0.5)])
def test_fractions_are_shares_of_one(bad) -> None:
    with pytest.raises(UserError, match="fractions="):
        split_groups("abcdef", bad, 0)


def test_too_few_groups() -> None:
    with pytest.raises(UserError, match="2 groups"):
        split_groups(["a", "b"], (0.8, 0.1, 0.1), 0)
    assert set(split_groups(["a", "b"], (0.5, 0, 0.5), 0).values()) == {"train", "test"}
