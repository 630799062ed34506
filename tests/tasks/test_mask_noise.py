import math

import numpy as np
import pytest
import torch
from skimage.filters import gaussian
from skimage.transform import AffineTransform, warp

from lexy.data.sequences.corner_affine import corner_affine
from lexy.data.sequences.selection import area_and_centroid
from lexy.data.stills import PhantomStills, StillClips
from lexy.images.filters import blur
from lexy.randomness import generator
from lexy.tasks.mask_noise import PublishedNoise, UnbiasedNoise, cut_to_area

PARTS = ("scale", "margin", "shift", "rotation", "shear", "thin_plate", "spots")
NOTHING: dict[str, float] = dict.fromkeys(PARTS, 0)


def ellipses(count: int = 16, size: int = 96) -> torch.Tensor:
    """Nuclei of many sizes, shapes and places, none of them at the border."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:size, :size]
    masks = []
    for _ in range(count):
        row, column = rng.uniform(0.36, 0.64, 2) * size
        long, turn = rng.uniform(9, 17), rng.uniform(0, math.pi)
        down, across = rows - row, columns - column
        along = math.cos(turn) * across + math.sin(turn) * down
        aside = math.cos(turn) * down - math.sin(turn) * across
        masks.append((along / long) ** 2 + (aside / (long * rng.uniform(0.6, 1))) ** 2 < 1)
    return torch.from_numpy(np.stack(masks)[:, None].astype(np.float32))


def phantom() -> torch.Tensor:
    """Crops of the phantom, with neighbours that the border cuts."""
    return StillClips(PhantomStills(fields=5).stills)[list(range(12))]["masks"][:, 0]


def means(noise, masks: torch.Tensor, draws: int) -> tuple[float, float]:
    """Mean ratio of the areas, and length of the mean shift of the centroid in square roots of the area."""
    before, centre = area_and_centroid(masks)
    after, moved = zip(
        *(area_and_centroid(noise.previous(masks, generator("test", 0, i))) for i in range(draws)), strict=True
    )
    shift = (torch.stack(moved) - centre) / before.sqrt()[:, None]
    return float((torch.stack(after) / before).mean()), float(shift.mean((0, 1)).norm())


class TestUnbiased:
    def test_keeps_area_and_centroid_in_the_mean_within_one_percent(self):
        area, shift = means(UnbiasedNoise(), ellipses(), 100)
        assert abs(area - 1) < 0.01
        assert shift < 0.01

    @pytest.mark.parametrize("part", PARTS)
    def test_so_does_each_of_its_parts(self, part):
        noise = UnbiasedNoise(**(NOTHING | {part: 2 * getattr(UnbiasedNoise(), part)}))
        area, shift = means(noise, ellipses(), 40)
        assert abs(area - 1) < 0.02
        assert shift < 0.02

    def test_and_with_neighbours_that_the_border_cuts(self):
        area, _ = means(UnbiasedNoise(), phantom(), 50)
        assert abs(area - 1) < 0.02

    @pytest.mark.parametrize("part", PARTS)
    def test_each_part_changes_the_mask(self, part):
        masks = ellipses()
        changed = UnbiasedNoise(**(NOTHING | {part: getattr(UnbiasedNoise(), part)})).previous(
            masks, generator("test", 1)
        )
        assert (changed != masks).flatten(1).any(1).float().mean() > 0.8
        assert set(changed.unique().tolist()) == {0.0, 1.0}
        overlap = (changed * masks).sum((1, 2, 3)) / masks.sum((1, 2, 3))
        assert overlap.min() > 0.5

    def test_nothing_changes_nothing_but_corners(self):
        masks = ellipses()
        same = UnbiasedNoise(**NOTHING).previous(masks, generator("test", 0))
        assert (same != masks).sum((1, 2, 3)).max() <= 6

    def test_some_spots_are_holes(self):
        masks = ellipses()
        noisy = UnbiasedNoise(**(NOTHING | {"spots": 3})).previous(masks, generator("test", 0))
        inner = 1 - blur(1 - masks, 2.0)
        assert ((noisy == 0) & (inner > 0.99)).flatten(1).any(1).sum() >= 2

    def test_dropout_empties_as_many_as_it_says(self):
        masks = ellipses().repeat(40, 1, 1, 1)
        empty = UnbiasedNoise(dropout=0.3).previous(masks, generator("test", 2)).sum((1, 2, 3)) == 0
        assert 0.2 < empty.float().mean() < 0.4

    def test_an_empty_mask_stays_empty(self):
        for noise in (UnbiasedNoise(), PublishedNoise()):
            assert noise.previous(torch.zeros(3, 1, 40, 56), generator("test", 0)).sum() == 0

    def test_reference_moves_frame_and_mask_alike(self):
        masks = ellipses()
        frames, moved = UnbiasedNoise().reference(blur(masks, 1.0), masks, generator("test", 5))
        assert (moved != masks).any()
        assert ((frames >= 0.5) != (moved == 1)).float().mean() < 0.002

    def test_a_draw_is_a_function_of_the_generator_alone(self):
        first, again, other = (
            UnbiasedNoise().previous(ellipses(), generator("test", *key)) for key in ((7, 1), (7, 1), (7, 2))
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_images_need_not_be_square(self):
        masks = ellipses()[:, :, 12:84]
        area, shift = means(UnbiasedNoise(), masks, 40)
        assert abs(area - 1) < 0.02
        assert shift < 0.02


class TestPublished:
    def test_enlarges_the_mask_and_moves_it_away_from_the_corner(self):
        area, shift = means(PublishedNoise(), ellipses(), 100)
        assert 1.09 < area < 1.13  # the mean of (1 + s)²: 1.114
        assert shift > 0.05

    @pytest.mark.parametrize(("scale", "shear"), [(0.1, 0.1), (-0.19, -0.13), (0.013, 0.07), (0.0, 0.0)])
    def test_is_skimages_warp(self, scale, shear):
        image = torch.rand(1, 1, 40, 56, generator=torch.Generator().manual_seed(0))
        ours = corner_affine(image, torch.tensor([scale]), torch.tensor([shear]))
        slope = -(1 + scale) * math.tan(shear)
        forward = AffineTransform(np.array([[1 + scale, slope, 0], [0, 1 + scale, 0], [0, 0, 1]]))
        expected = warp(image[0, 0].numpy(), forward.inverse, order=0, mode="constant", cval=0, preserve_range=True)
        assert (ours[0, 0].numpy() != expected).mean() < 0.002  # ties between two pixels

    def test_a_tie_between_two_pixels_goes_away_from_zero_as_skimages(self):
        image = torch.arange(36.0).view(1, 1, 6, 6)
        ours = corner_affine(image, torch.tensor([1.0]), torch.tensor([0.0]))  # positions 0, ½, 1, 1½, …
        expected = warp(image[0, 0].numpy(), AffineTransform(scale=2).inverse, order=0, preserve_range=True)
        assert ours[0, 0, 0].tolist() == [0, 1, 1, 2, 2, 3] == expected[0].tolist()
        assert torch.equal(ours[0, 0], torch.from_numpy(expected).float())

    def test_moves_a_point_as_computed_by_hand(self):
        image = torch.zeros(1, 1, 64, 64)
        image[0, 0, 20, 40] = 1
        moved = corner_affine(image, torch.tensor([0.1]), torch.tensor([0.1]))
        # y′ = 1.1 · 20 = 22; x′ = 1.1 · (40 − 0.10033 · 20) = 41.79
        assert moved[0, 0, 22, 42] == 1

    def test_draws_within_the_published_range(self):
        scale, shear = PublishedNoise()._draw(4000, generator("test", 0))
        for values in (scale, shear):
            assert 0.01 <= values.min() < 0.012
            assert 0.098 < values.max() <= 0.1

    def test_reference_is_twice_the_same_draw_to_either_side_with_a_smoothed_mask(self):
        masks, noise = ellipses(), PublishedNoise()
        frames = torch.rand(masks.shape, generator=torch.Generator().manual_seed(1))
        reference, reference_masks = noise.reference(frames, masks, generator("test", 4))
        scale, shear = noise._draw(len(masks), generator("test", 4))
        seen = set()
        for index in range(len(masks)):
            candidates = {s: corner_affine(frames[[index]], s * scale[[index]], s * shear[[index]]) for s in (2, -2)}
            (sign,) = (s for s, image in candidates.items() if torch.equal(image[0], reference[index]))
            seen.add(sign)
            hard = corner_affine(masks[[index]], sign * scale[[index]], sign * shear[[index]])
            expected = gaussian(hard[0, 0].numpy(), 1.5, mode="nearest", preserve_range=True) >= 0.5
            assert (reference_masks[index, 0].numpy() != expected).sum() <= 1
        assert seen == {2, -2}

    def test_a_range_upside_down_is_refused(self):
        with pytest.raises(ValueError, match=r"low=0\.2 is above high=0\.1"):
            PublishedNoise(low=0.2)


def test_a_field_is_cut_to_the_area_asked_for():
    fields = torch.rand(4, 1, 50, 60, generator=torch.Generator().manual_seed(0))
    area = torch.tensor([0.0, 1.0, 700.0, 2900.0])
    assert (cut_to_area(fields, area).sum((1, 2, 3)) - area).abs().max() <= 2
