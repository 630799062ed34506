import pytest
import torch

from lexy.tasks.schedules import constant, cosine, one_cycle


def rates(schedule, steps, **settings):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = schedule(optimizer, steps, **settings)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant():
    assert rates(constant, 5) == pytest.approx([0.1] * 5)


def test_cosine_rises_then_falls_to_its_share():
    found = rates(cosine, 100, warmup=0.1, final=0.01)
    assert found[:10] == pytest.approx([0.1 * (step + 1) / 11 for step in range(10)])
    assert found[10] == max(found) == pytest.approx(0.1)
    assert found[55] == pytest.approx(0.1 * (0.01 + 0.99 / 2), rel=1e-6)  # half of the way down
    assert found[-1] == pytest.approx(0.001, rel=0.05)
    assert sorted(found[10:], reverse=True) == found[10:]


def test_one_cycle_peaks_at_the_optimisers_rate():
    found = rates(one_cycle, 50, rise=0.3)
    assert max(found) == pytest.approx(0.1)
    assert 13 <= found.index(max(found)) <= 15
    assert found[-1] < 0.001
