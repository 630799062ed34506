import numpy as np
import pytest
import torch
from evaluation_masks import blobs
from scipy.ndimage import distance_transform_edt

from lexy.images.nc_ratio import contrast, nuclear_ratio


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
