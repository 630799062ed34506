import numpy as np
import pytest
import torch
from evaluation_masks import blobs
from scipy.ndimage import distance_transform_edt

from lexy.images.nc_ratio import contrast, mask_contrast, nuclear_ratio, start_score


def disc(radius: float = 8, size: int = 48) -> torch.Tensor:
    y, x = np.mgrid[:size, :size] - size // 2
    return torch.from_numpy(y**2 + x**2 <= radius**2)[None]


def scene(nucleus: float, cytoplasm: float, background: float) -> torch.Tensor:
    distance = torch.from_numpy(distance_transform_edt(~disc()[0].numpy()))[None]
    image = torch.where(distance <= 10, cytoplasm, background)
    return torch.where(disc(), nucleus, image).float()


def test_hand_computed() -> None:
    image = scene(nucleus=0.9, cytoplasm=0.5, background=0.1)
    assert nuclear_ratio(image, disc()).item() == pytest.approx(2.0, rel=1e-6)
    assert contrast(image, disc()).item() == pytest.approx(1 / 3, rel=1e-6)
    assert nuclear_ratio(scene(0.3, 0.5, 0.1), disc()).item() == pytest.approx(0.5, rel=1e-6)
    assert contrast(scene(0.5, 0.5, 0.1), disc()).item() == pytest.approx(0.0, abs=1e-6)


def test_ring_and_background_by_distance_and_percentile() -> None:
    rng = np.random.default_rng(0)
    images, masks = rng.random((12, 30, 41)).astype(np.float32) + 1, blobs(rng, 12, 30, 41)
    images[:, :5] -= 0.9
    for inner, outer, percent in [(2.0, 6.0, 1.0), (1.5, 4.2, 7.3)]:
        nucleus, ring = [], []
        for image, mask in zip(images.astype(np.float64), masks, strict=True):
            distance = distance_transform_edt(~mask)
            background = np.percentile(image, percent)
            around = image[(distance > inner) & (distance <= outer)]
            nucleus.append(image[mask].mean() - background)
            ring.append(around.mean() - background if around.size else np.nan)
        found = [
            f(torch.from_numpy(images), torch.from_numpy(masks), inner, outer, percent)
            for f in (nuclear_ratio, contrast)
        ]
        n, r = np.array(nucleus), np.array(ring)
        assert np.isfinite(r).sum() >= 3
        np.testing.assert_allclose(found[0].numpy(), n / np.where(r > 0, r, np.nan), rtol=1e-9)
        np.testing.assert_allclose(found[1].numpy(), (n - r) / (n + r), rtol=1e-9)


def test_undefined() -> None:
    image = scene(0.9, 0.5, 0.1)
    empty, full = torch.zeros_like(disc()), torch.ones_like(disc())
    dark = scene(0.9, 0.1, 0.1)  # the ring is as dark as the background
    ratio = nuclear_ratio(torch.cat([image, image, dark]), torch.cat([empty, full, disc()]))
    assert ratio.isnan().all()
    difference = contrast(torch.cat([image, image, dark]), torch.cat([empty, full, disc()]))
    assert difference[:2].isnan().all()
    assert difference[2].item() == pytest.approx(1.0, abs=1e-6)
    assert ratio.dtype == torch.float64


class TestMaskContrast:
    def scene(self, nucleus: float, cytoplasm: float) -> tuple[torch.Tensor, torch.Tensor]:
        frame, mask = torch.zeros(1, 1, 40, 40), torch.zeros(1, 1, 40, 40)
        frame[..., 5:35, 5:35] = cytoplasm
        frame[..., 15:25, 15:25] = nucleus
        mask[..., 15:25, 15:25] = 1
        return frame, mask

    @pytest.mark.parametrize(("nucleus", "cytoplasm", "expected"), [(3.0, 1.0, 0.5), (1.0, 3.0, 0.5), (2.0, 2.0, 0.0)])
    def test_is_the_difference_over_the_sum(self, nucleus, cytoplasm, expected):
        assert mask_contrast(*self.scene(nucleus, cytoplasm)).item() == pytest.approx(expected, abs=1e-6)

    def test_does_not_see_a_constant_background(self):
        frame, mask = self.scene(3.0, 1.0)
        assert mask_contrast(frame + 7, mask).item() == pytest.approx(0.5, abs=1e-5)

    def test_nothing_and_everything_have_none(self):
        frame, mask = self.scene(3.0, 1.0)
        assert mask_contrast(frame, mask * 0).item() == 0
        assert mask_contrast(frame, mask * 0 + 1).item() == 0

    def test_a_wrong_mask_stands_out_less(self):
        frame, mask = self.scene(3.0, 1.0)
        assert mask_contrast(frame, mask.roll(6, dims=3)).item() < 0.35

    def test_a_start_is_scored_by_contrast_and_decision(self):
        frame, mask = self.scene(3.0, 1.0)
        score = start_score(torch.cat([frame] * 3), torch.cat([mask, 0.75 * mask, 0.4 * mask]))
        # Contrast ½ each; |2p − 1| is 1, ½ and 0.2, but the last has no pixel of ½.
        assert score.tolist() == pytest.approx([0.5, 0.25, 0.0], abs=1e-6)
