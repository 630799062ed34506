from functools import partial

import pytest
import torch

from lexy.networks.backbone import Backbone
from lexy.networks.rollout import rollout
from lexy.networks.siamnet import SiamNet
from lexy.networks.smp import SMP
from lexy.networks.vanilla import Vanilla

VANILLA = partial(Vanilla, width=4, depth=2, normalization="group")


def clip(contrasts=(0.6, 0.2, 0.9, 0.1)) -> tuple[torch.Tensor, torch.Tensor]:
    """One nucleus in a cell, standing out more or less."""
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 12:20, 10:20] = 1
    cell = torch.zeros(1, 1, 32, 32)
    cell[..., 2:30, 2:30] = 0.5
    return torch.stack([cell * (1 + contrast * mask) for contrast in contrasts], dim=1), mask


def network(**arguments) -> SiamNet:
    torch.manual_seed(0)
    return SiamNet(VANILLA, **arguments).eval()


def counted(net: SiamNet) -> list[int]:
    calls: list[int] = []
    encode = net.backbone.encode
    net.backbone.encode = lambda x: (calls.append(len(x)), encode(x))[1]  # type: ignore[method-assign]
    return calls


def test_free_run_is_the_stateless_network_with_the_first_frame_as_reference():
    frames, mask = clip()
    net = network()
    with torch.no_grad():
        free = rollout(net, frames, mask)
        previous = (free[:, 1] >= 0).float()
        torch.testing.assert_close(free[:, 2], net(frames[:, 2], previous, frames[:, 0], mask))


def test_the_first_frame_is_encoded_once_as_the_reference():
    frames, mask = clip()
    net = network()
    calls = counted(net)
    rollout(net, frames, mask)
    assert len(calls) == 1 + frames.shape[1]


@pytest.mark.parametrize("backbone", [VANILLA, partial(SMP, encoder="tu-mobilenetv3_small_050", width=4)])
def test_joined_at_all_levels_starts_as_the_published_one(backbone):
    frames, mask = clip()
    published = SiamNet(backbone).eval()
    joined = SiamNet(backbone, join="all").eval()
    missing, unexpected = joined.load_state_dict(published.state_dict(), strict=False)
    assert missing
    assert all(name.startswith("joins.") for name in missing)
    assert not unexpected
    with torch.no_grad():
        torch.testing.assert_close(
            joined(frames[:, 0], mask, frames[:, 2], mask), published(frames[:, 0], mask, frames[:, 2], mask)
        )


def test_what_is_joined_at_a_level_reaches_the_logits():
    frames, mask = clip()
    net = network(join="all")
    assert list(net.joins) == ["0", "1"]
    reference = net.encode(frames[:, 0], mask)
    with torch.no_grad():
        for join in net.joins.values():
            torch.nn.init.normal_(join.weight)
        current = net.encode(frames[:, 1], mask)
        other = (reference[0] + 1, *reference[1:])
        assert not torch.allclose(net.decode(current, reference), net.decode(current, other))


class Given(Backbone):
    """Draws the mask that it is given."""

    stride = 1

    def __init__(self, in_channels: int, branches: int) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def encode(self, x):
        return [x]

    def decode(self, features):
        (both,) = features
        self.seen.append(both[:, 2])  # the reference's frame
        return (both[:, 1:2] - 0.5) * 20


def test_the_reference_is_the_frame_with_the_most_contrast_so_far():
    frames, mask = clip()
    net = SiamNet(Given, reference="contrast")
    rollout(net, frames, mask)
    for seen, index in zip(net.backbone.seen, (0, 0, 0, 2), strict=True):
        assert torch.equal(seen[0], frames[0, index, 0])


def test_each_clip_of_a_batch_has_its_own_reference():
    first, mask = clip((0.6, 0.9, 0.1))
    second, _ = clip((0.6, 0.2, 0.1))
    net = SiamNet(Given, reference="contrast")
    rollout(net, torch.cat([first, second]), mask.repeat(2, 1, 1, 1))
    assert torch.equal(net.backbone.seen[2][0], first[0, 1, 0])
    assert torch.equal(net.backbone.seen[2][1], second[0, 0, 0])
