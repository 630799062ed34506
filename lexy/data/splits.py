"""Splits by group: whatever shares a group (a field, a cell, a recording) never ends up on two sides."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lexy.errors import UserError

SPLITS = ("train", "val", "test")
Group = Literal["field", "antibody", "cell_line"]  # column of a manifest that splits can go by


def split_groups(groups: Iterable[str], fractions: tuple[float, float, float], seed: int) -> dict[str, str]:
    """Deal groups to train, val and test.

    Parameters
    ----------
    groups : iterable of str
        Neither order nor repetition matters.
    fractions : tuple of three float
        Shares of train, val and test; none negative, sum 1. Each share above 0 gets at least one group.
    seed : int
        Same groups and seed, same split.

    Returns
    -------
    dict of str to str
        Every group's split: `train`, `val` or `test`.

    Raises
    ------
    UserError
        If the fractions are not shares of 1 or there are fewer groups than shares above 0.
    """
    check_fractions(fractions)
    names = _shuffled(groups, seed)
    wanted = np.array(fractions, float)
    if len(names) < (wanted > 0).sum():
        raise UserError(
            f"{len(names)} groups (of fields) cannot be split by fractions={list(fractions)}: at least "
            f"{(wanted > 0).sum()} are needed. Prepare more fields, split by smaller groups or set a fraction to 0."
        )
    counts = _apportion(wanted, len(names))
    return dict(zip(names, np.repeat(SPLITS, counts).tolist(), strict=True))


def fold_groups(groups: Iterable[str], folds: int, seed: int) -> dict[str, int]:
    """Deal groups to folds whose sizes differ by at most one.

    Parameters
    ----------
    groups : iterable of str
        Neither order nor repetition matters.
    folds : int
        Number of folds, at least 2.
    seed : int
        Same groups and seed, same folds.

    Returns
    -------
    dict of str to int
        Every group's fold, 0 to `folds` - 1.

    Raises
    ------
    UserError
        If there are fewer groups than folds, or fewer than 2 folds.
    """
    names = _shuffled(groups, seed)
    if folds < 2:
        raise UserError(f"folds={folds}: at least 2 are needed.")
    if len(names) < folds:
        raise UserError(
            f"{len(names)} groups (of fields) cannot be split into folds={folds}. "
            f"Prepare more fields, split by smaller groups or set folds to at most {len(names)}."
        )
    return {name: at % folds for at, name in enumerate(names)}


def splits_of_folds(fold: int, folds: int) -> list[str]:
    """Return the split of each of `folds` folds where fold `fold` is the test.

    The next fold (the first one after the last) is for validation, the others are for training.

    Raises
    ------
    UserError
        There is no such fold.
    """
    if fold >= folds:
        raise UserError(f"data.fold={fold}: there are {folds} folds, numbered from 0 to {folds - 1}.")
    by_distance = [SPLITS[2], SPLITS[1], *[SPLITS[0]] * folds]
    return [by_distance[(at - fold) % folds] for at in range(folds)]


def check_fractions(fractions: tuple[float, float, float]) -> None:
    """Raise UserError unless `fractions` are three shares of 1."""
    if len(fractions) != 3 or not min(fractions) >= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UserError(
            f"fractions={list(fractions)}: three shares (train, val, test) are needed, none negative, with the sum 1."
        )


def _shuffled(groups: Iterable[str], seed: int) -> list[str]:
    names = sorted(set(groups))
    return [names[at] for at in np.random.default_rng(seed).permutation(len(names))]


def _apportion(shares: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Return whole counts of sum `total`: one for each share above 0, the rest by largest remainders."""
    counts: NDArray[np.int64] = np.floor(shares * total + 1e-9).astype(np.int64)
    for at in np.argsort(counts - shares * total, kind="stable")[: total - counts.sum()]:
        counts[at] += 1
    for at in np.flatnonzero((shares > 0) & (counts == 0)):
        counts[np.argmax(counts)] -= 1
        counts[at] += 1
    return counts
