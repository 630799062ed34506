from typing import Any

import numpy as np
import pytest

from lexy.acquire.labellers import Labeller
from lexy.acquire.labellers.classical import Classical
from lexy.data.phantom import phantom_field


def found_at(truth: np.ndarray, labels: np.ndarray, threshold: float) -> float:
    """F1 of instances at an IoU."""
    pairs = np.zeros((truth.max() + 1, labels.max() + 1))
    np.add.at(pairs, (truth, labels), 1)
    iou = pairs / (pairs.sum(1, keepdims=True) + pairs.sum(0) - pairs)
    hits = (iou[1:, 1:] > threshold).sum()
    return float(2 * hits / (truth.max() + labels.max()))


def disc(size: int, row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:size, :size]
    return np.hypot(rows - row, columns - column) < radius


def noisy(image: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.clip(image + np.random.default_rng(seed).normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def label(image: np.ndarray, **settings: Any) -> np.ndarray:
    (labels,) = Classical(**settings).label([image], ["1/2_A1_1"])
    assert isinstance(labels, np.ndarray)
    return labels


def test_it_is_a_labeller() -> None:
    assert isinstance(Classical(), Labeller)


@pytest.mark.parametrize("index", range(4))
def test_phantom_nuclei_are_found(index: int) -> None:
    field = phantom_field(11, index)
    assert field.labels is not None
    labels = label(field.nuclear)
    assert labels.dtype == np.int32
    assert found_at(field.labels, labels, 0.75) > 0.9


def test_large_images_are_labelled_at_their_own_size() -> None:
    field = phantom_field(11, 0, size=1100, nuclei=(6, 8), diameter=180)
    assert field.labels is not None
    labels = label(field.nuclear.astype(np.uint16) * 200)
    assert labels.shape == (1100, 1100)
    assert found_at(field.labels, labels, 0.75) > 0.9


def test_touching_nuclei_are_split_and_numbered_from_one() -> None:
    image = 20 + 150 * (disc(128, 64, 48, 18) | disc(128, 64, 80, 18))
    labels = label(noisy(image))
    assert sorted(np.unique(labels)) == [0, 1, 2]
    assert labels[64, 48] != labels[64, 80]


def test_dim_nuclei_beside_bright_ones() -> None:
    image = 10 + 200 * disc(256, 60, 60, 20) + 30 * disc(256, 180, 180, 20) + 30 * disc(256, 60, 180, 20)
    labels = label(noisy(image))
    assert labels.max() == 3


def test_the_halo_of_a_bright_nucleus_is_not_part_of_it() -> None:
    bright = disc(256, 60, 60, 20)
    halo = 40 * (disc(256, 60, 60, 32) & ~bright)
    labels = label(noisy(10 + 200 * bright + halo + 30 * disc(256, 180, 180, 20)))
    assert labels.max() == 2
    assert (labels == labels[60, 60]).sum() == pytest.approx(bright.sum(), rel=0.15)


def test_nucleoli_are_no_holes() -> None:
    image = 10 + 150 * (disc(128, 64, 64, 20) & ~disc(128, 64, 60, 4))
    labels = label(noisy(image))
    assert labels[64, 60] == labels[64, 75] == 1


@pytest.mark.parametrize("seed", range(3))
def test_noise_and_nothing_have_no_nuclei(seed: int) -> None:
    noise = np.random.default_rng(seed).poisson(20, (200, 240)).astype(np.uint8)
    assert label(noise).max() == 0
    assert label(np.zeros((50, 60), np.uint8)).shape == (50, 60)
    assert label(np.zeros((50, 60), np.uint8)).max() == 0


def test_a_given_diameter_decides_what_is_too_small() -> None:
    image = noisy(10 + 150 * (disc(256, 60, 60, 20) | disc(256, 180, 180, 8)))
    assert label(image, diameter=20).max() == 2
    assert label(image, diameter=60, min_share=0.2).max() == 1


def test_lengths_scale_with_the_nuclei() -> None:
    field = phantom_field(11, 1, size=200)
    small = label(field.nuclear)
    large = label(field.nuclear.repeat(2, 0).repeat(2, 1))
    assert large.max() == small.max()
    assert found_at(small.repeat(2, 0).repeat(2, 1), large, 0.8) == 1


def test_touching_nuclei_of_different_brightness_are_split_and_keep_their_outlines() -> None:
    bright, dim = disc(128, 64, 44, 18), disc(128, 64, 82, 18)
    labels = label(noisy(20 + 60 * dim + 120 * bright))
    assert labels.max() == 2
    for nucleus, at in ((bright, 44), (dim, 82)):
        own = labels == labels[64, at]
        assert (own & nucleus).sum() / (own | nucleus).sum() > 0.85


def test_settings_are_all_parameters() -> None:
    settings = Classical(diameter=30).settings()
    assert settings == {
        "class": "lexy.acquire.labellers.classical.Classical",
        "diameter": 30,
        "brightness": 0.4,
        "core": 0.55,
        "split": 0.05,
        "min_share": 0.15,
    }
