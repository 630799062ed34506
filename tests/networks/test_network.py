import pytest
import torch
from torch import nn

from lexy.networks.network import FOREGROUND, FrameNetwork, Network, Recurrence
from lexy.networks.propagation import frame_network
from lexy.networks.rollout import rollout


class TimeMean(Network):
    """Sees the whole clip: the mean over time is the foreground of every frame; it has a second map."""

    def maps(self, frames, state):
        mean = frames.mean(dim=1, keepdim=True).expand_as(frames)
        return {FOREGROUND: mean, "distance": torch.cat([frames, mean], dim=2)}


class Identity(FrameNetwork):
    def forward(self, frame):
        return frame


def test_a_network_may_look_ahead_and_needs_no_start():
    frames = torch.arange(3.0).view(1, 3, 1, 1, 1)
    assert rollout(TimeMean(), frames).flatten().tolist() == [1, 1, 1]
    assert TimeMean().start(frames[:, 0]) == ()


def test_a_frame_network_is_its_forward():
    frames = torch.rand(2, 3, 1, 4, 4)
    assert torch.equal(rollout(Identity(), frames), frames)
    state = Identity().start(frames[:, 0])
    assert Identity().with_mask(state, frames[:, 0]) == state


@pytest.mark.parametrize("missing", ["start", "step", "with_mask", "feed_back"])
def test_a_recurrence_that_leaves_a_part_of_the_contract_out_cannot_be_made(missing):
    parts = {name: lambda *_: None for name in ("start", "step", "with_mask", "feed_back") if name != missing}
    with pytest.raises(TypeError, match=missing):
        type("Incomplete", (Recurrence,), parts)()


def test_what_is_no_frame_network_is_named():
    with pytest.raises(ValueError, match="TimeMean does not see frames one by one"):
        frame_network(TimeMean())
    with pytest.raises(ValueError, match="Linear does not see frames one by one"):
        frame_network(nn.Linear(1, 1))
