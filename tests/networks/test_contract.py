"""What every network must do, with every backbone."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from lexy.networks.backbone import pad_to_multiple
from lexy.networks.resnet34 import ResNet34
from lexy.networks.rollout import rollout
from lexy.networks.smp import SMP
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla
from lexy.networks.vgg16 import VGG16

BACKBONES = {
    "vanilla": partial(Vanilla, width=4),
    "vanilla-batch": partial(Vanilla, width=4, depth=2, normalization="batch"),
    "vanilla-group": partial(Vanilla, width=4, normalization="group"),
    "vgg16": partial(VGG16, bottleneck=32),
    "resnet34": partial(ResNet34, bottleneck=64),
    "smp": partial(SMP, encoder="tu-mobilenetv3_small_050", width=4),
    "smp-vgg": partial(SMP, encoder="vgg11", width=4),
}
NETWORKS = {"unet": UNet}


@pytest.fixture(scope="module", params=[(n, b) for n in NETWORKS for b in BACKBONES], ids="-".join)
def made(request) -> tuple[Callable[[], nn.Module], nn.Module]:
    torch.manual_seed(0)
    name, backbone = request.param
    make = partial(NETWORKS[name], BACKBONES[backbone])
    return make, make().eval()


@pytest.fixture
def network(made) -> nn.Module:
    return made[1]


def frames(batch: int = 2, height: int = 64, width: int = 64) -> torch.Tensor:
    return torch.rand(batch, 1, height, width, generator=torch.Generator().manual_seed(1))


class TestContract:
    @pytest.mark.parametrize("size", [(64, 64), (32, 96), (50, 70), (33, 31)])
    def test_gives_one_logit_for_each_pixel_of_any_size(self, network, size):
        with torch.no_grad():
            logits, _ = network.step(network.start(frames(1, *size)), frames(1, *size))
        assert logits.shape == (1, 1, *size)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()

    def test_every_parameter_gets_a_gradient(self, network):
        network.zero_grad()
        logits = rollout(network, frames()[:, None])
        logits.square().mean().backward()
        without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
        assert not without
        assert any(parameter.grad.abs().sum() > 0 for parameter in network.parameters())

    def test_same_input_gives_the_same_digits(self, network):
        with torch.no_grad():
            first, second = (rollout(network, frames()[:, None]) for _ in range(2))
        assert torch.equal(first, second)

    def test_clips_of_a_batch_do_not_see_each_other(self, network):
        with torch.no_grad():
            together = rollout(network, frames(3)[:, None])
            alone = torch.cat([rollout(network, frame[None, None]) for frame in frames(3)])
        torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)

    def test_exports_and_gives_the_same(self, network):
        exported = torch.export.export(network, (frames(1),)).module()
        with torch.no_grad():
            torch.testing.assert_close(exported(frames(1)), network(frames(1)), rtol=1e-3, atol=1e-4)

    def test_state_dict_makes_another_network_equal(self, made):
        make, network = made
        twin = make()
        twin.load_state_dict(network.state_dict())
        with torch.no_grad():
            assert torch.equal(twin.eval()(frames()), network(frames()))


@pytest.mark.parametrize("name", BACKBONES)
def test_two_branches_join_at_the_deepest_map(name):
    backbone = BACKBONES[name](in_channels=2, branches=2).eval()
    x = torch.rand(1, 2, 64, 64)
    with torch.no_grad():
        current, reference = backbone.encode(x), backbone.encode(x)
        logits = backbone.decode([*current[:-1], torch.cat([current[-1], reference[-1]], dim=1)])
    assert logits.shape == (1, 1, 64, 64)


def test_padding_repeats_the_last_row_and_column():
    x = torch.arange(6.0).view(1, 1, 2, 3)
    padded = pad_to_multiple(x, 4)
    assert padded.shape == (1, 1, 4, 4)
    assert torch.equal(padded[..., :2, :3], x)
    assert torch.equal(padded[0, 0, 3], torch.tensor([3.0, 4.0, 5.0, 5.0]))


def test_published_vanilla_widths():
    widths = [stage[0].out_channels for stage in Vanilla().stages]
    decoder = Vanilla().decoder
    assert widths == [64, 128, 256, 512]
    assert decoder.bottleneck[0].out_channels == 1024
    assert [up.out_channels for up in decoder.up] == [512, 256, 128, 64]


def test_published_scales_and_widths_of_vgg16_and_resnet34():
    x = torch.rand(1, 1, 64, 64)
    vgg, resnet = VGG16(), ResNet34()
    with torch.no_grad():
        shapes = [(f.shape[1], 64 // f.shape[2]) for f in vgg.encode(x)]
        assert shapes == [(64, 1), (128, 2), (256, 4), (512, 8), (512, 16), (512, 32)]
        shapes = [(f.shape[1], 64 // f.shape[2]) for f in resnet.encode(x)]
        assert shapes == [(64, 2), (128, 4), (256, 8), (512, 16), (512, 32)]
    assert [up.out_channels for up in vgg.decoder.up] == [1024, 512, 256, 128, 64]
    assert vgg.decoder.bottleneck[0].out_channels == resnet.decoder.bottleneck[0].out_channels == 1024
    assert [up.out_channels for up in resnet.decoder.up] == [512, 256, 128, 64]
    assert [type(layer).__name__ for layer in resnet.head] == ["ConvTranspose2d", "Conv2d", "ReLU", "Conv2d"]
    assert resnet.head[1].out_channels == 32
