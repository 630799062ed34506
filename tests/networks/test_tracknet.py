from functools import partial

import torch

from lexy.networks.rollout import rollout
from lexy.networks.tracknet import TrackNet
from lexy.networks.vanilla import Vanilla

FRAMES = torch.rand(2, 3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
MASK = (FRAMES[:, 0] > 0.5).float()


def network(feedback) -> TrackNet:
    torch.manual_seed(0)
    return TrackNet(partial(Vanilla, width=4, depth=2, normalization="group"), feedback)


def test_sees_its_own_mask_of_the_frame_before():
    for feedback, seen in (("hard", lambda logits: (logits >= 0).float()), ("soft", torch.sigmoid)):
        net = network(feedback)
        with torch.no_grad():
            free = rollout(net, FRAMES, MASK)
            torch.testing.assert_close(free[:, 0], net(FRAMES[:, 0], MASK))
            torch.testing.assert_close(free[:, 2], net(FRAMES[:, 2], seen(free[:, 1])))


def test_only_soft_feedback_passes_the_gradient_on():
    for feedback in ("hard", "soft"):
        net = network(feedback)
        state = net.start(FRAMES[:, 0], MASK.clone().requires_grad_())
        first, state = net.step(state, FRAMES[:, 0])
        (gradient,) = torch.autograd.grad(net.step(state, FRAMES[:, 1])[0].sum(), first, allow_unused=True)
        assert (gradient is not None and bool(gradient.abs().sum() > 0)) == (feedback == "soft")
