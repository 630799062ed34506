import numpy as np
import pytest
from memory_video import MemoryVideo
from scipy.ndimage import shift

from lexy.errors import UserError
from lexy.predict.corrections import bleaching, drift


def field():
    """Cells with brighter nuclei."""
    rng, (rows, columns) = np.random.default_rng(0), np.ogrid[:160, :200]
    image = np.full((160, 200), 100.0)
    for row, column in rng.uniform([20, 20], [140, 180], (15, 2)):
        distance = np.hypot(rows - row, columns - column)
        image += 120.0 * (distance < 12) + 80.0 * (distance < 7)
    return image


@pytest.mark.parametrize("noise", [5, 60])
@pytest.mark.parametrize("step", [0.0, 1.7])
def test_drift_is_found_in_noise_and_not_made_up(noise, step):
    rng, still = np.random.default_rng(1), field()
    moved = [shift(still, (step * time, -step * time), order=1, mode="nearest") for time in range(8)]
    found = drift(MemoryVideo([frame + rng.normal(0, noise, frame.shape) for frame in moved]))
    true = [[-step * time, step * time] for time in range(8)]
    assert np.abs(found - true).max() <= 1


def test_a_drift_out_of_the_field_is_refused():
    noise = np.random.default_rng(0).normal(100, 20, (20, 130, 151))
    with pytest.raises(UserError, match="more than half the field"):
        drift(MemoryVideo(noise))


def test_bleaching_is_undone():
    frames = [100 + (field() - 100) * 0.5 ** (time / 6) for time in range(12)]
    gains, half_time = bleaching(MemoryVideo(frames))
    assert half_time == pytest.approx(6, rel=1e-3)
    assert gains == pytest.approx(2 ** (np.arange(12) / 6), rel=1e-3)
    assert bleaching(MemoryVideo([field()] * 3))[0] == pytest.approx(1)
