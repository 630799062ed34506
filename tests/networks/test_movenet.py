from functools import partial

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lexy.networks.movenet import REACH, MoveNet, warped
from lexy.networks.rollout import one_step, rollout
from lexy.networks.vanilla import Vanilla


def disc(row: float = 16, column: float = 16, radius: float = 7, size: int = 32) -> torch.Tensor:
    at = torch.arange(size) + 0.5
    return (((at[:, None] - row) ** 2 + (at - column) ** 2) < radius**2).float()[None, None]


def network(passes: int = 2) -> MoveNet:
    torch.manual_seed(0)
    return MoveNet(partial(Vanilla, width=4, depth=2, normalization="group"), passes).eval()


def test_without_flow_and_correction_it_is_the_copied_mask():
    net, mask = network(), disc()
    with torch.no_grad():
        net.gain.zero_()
        logits = rollout(net, torch.rand(1, 3, 1, 32, 32), mask)
    for time in range(3):
        assert torch.equal((logits[:, time] >= 0).float(), mask)


@settings(max_examples=30)
@given(st.integers(-4, 4), st.integers(-4, 4))
def test_a_constant_flow_is_a_translation(down, across):
    # The value of a pixel lies 2 · shift / size half image sizes away.
    flow = torch.tensor([across, down]).view(1, 2, 1, 1).expand(1, 2, 4, 4) * 2 / 32
    expected = disc(16 - down, 16 - across)
    torch.testing.assert_close(warped(disc(), flow), expected, atol=1e-4, rtol=0)


def test_the_flow_reaches_no_farther_than_it_may():
    net, mask = network(), disc(20, 20, 4)
    with torch.no_grad():
        net.gain.zero_()
        net.flow.bias.fill_(100)
        logits, _ = net.step(net.start(torch.rand(1, 1, 32, 32), mask), torch.rand(1, 1, 32, 32))
    shift = REACH * 16 * net.passes
    expected = disc(20 - shift, 20 - shift, 4)
    assert (((logits >= 0).float() != expected).sum()) <= 0.15 * expected.sum()


def test_a_further_pass_looks_at_the_anchor_as_it_was_moved():
    frame, mask = torch.rand(1, 1, 32, 32), disc()
    once, twice = network(1), network(2)
    with torch.no_grad():
        logits = [net.step(net.start(mask, mask), frame)[0] for net in (once, twice)]
        torch.testing.assert_close(*logits)  # no flow yet: nothing is moved
        for net in (once, twice):
            net.flow.bias.fill_(0.3)
        logits = [net.step(net.start(mask, mask), frame)[0] for net in (once, twice)]
    assert not torch.allclose(*logits)


def test_frames_in_between_change_nothing():
    net, frames = network(), torch.rand(2, 4, 1, 32, 32)
    mask = disc().expand(2, -1, -1, -1)
    other = frames.clone()
    other[:, 1:3] = torch.rand(2, 2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(rollout(net, frames, mask)[:, 3], rollout(net, other, mask)[:, 3])


def test_one_step_is_free_running():
    net, frames, masks = network(), torch.rand(1, 3, 1, 32, 32), torch.rand(1, 3, 1, 32, 32).round()
    with torch.no_grad():
        state = net.start(frames[:, 0], masks[:, 0])
        told = one_step(net, state, frames, masks, torch.ones(1, 3, dtype=torch.bool))
        assert torch.equal(told, rollout(net, frames, masks[:, 0]))


def test_the_flow_learns_to_follow_a_shift():
    net = network()
    frames, masks = disc(14, 18), disc(14, 18)
    optimizer = torch.optim.Adam(net.flow.parameters(), 0.02)
    net.gain.requires_grad_(False).zero_()
    for _ in range(40):
        optimizer.zero_grad()
        logits, _ = net.step(net.start(disc(), disc()), frames)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, masks)
        loss.backward()
        optimizer.step()
    predicted = (logits >= 0).float()
    dice = 2 * (predicted * masks).sum() / (predicted.sum() + masks.sum())
    assert dice > 0.95 > 2 * (disc() * masks).sum() / (disc().sum() + masks.sum())
