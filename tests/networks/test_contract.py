"""What every network must do, with every backbone."""

import functools
from functools import partial

import pytest
import torch
from torch import nn

from lexy.networks.backbone import pad_to_multiple
from lexy.networks.monai import MONAI
from lexy.networks.movenet import MoveNet
from lexy.networks.propagation import detached
from lexy.networks.resnet34 import ResNet34
from lexy.networks.rollout import rollout
from lexy.networks.siamnet import SiamNet
from lexy.networks.smp import SMP
from lexy.networks.tracknet import TrackNet
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
    "monai": partial(MONAI, arguments={"features": [4, 4, 8, 8, 8, 4]}),
}
NETWORKS = {
    "unet": UNet,
    "tracknet": partial(TrackNet, feedback="soft"),
    "siamnet": SiamNet,
    "siamnet-all": partial(SiamNet, feedback="soft", join="all", reference="contrast"),
    "movenet": MoveNet,
}


# What hangs on the backbone is tried with each of them, what hangs on the network with the light ones.
LIGHT = [(n, b) for n in NETWORKS for b in ("vanilla-group", "smp")]
EXPORTED = [("unet", b) for b in BACKBONES] + [(n, "vanilla-group") for n in NETWORKS if n != "unet"]


def make(name: str, backbone: str) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name](BACKBONES[backbone]).eval()


made = functools.cache(make)


@pytest.fixture(params=[(n, b) for n in NETWORKS for b in BACKBONES], ids="-".join)
def network(request) -> nn.Module:
    return made(*request.param)


@pytest.fixture(params=LIGHT, ids="-".join)
def light(request) -> nn.Module:
    return made(*request.param)


class FirstFrame(nn.Module):
    """Logits of the first frame, as a module that can be exported."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.network.step(self.network.start(frame, mask), frame)[0]


def clips(batch: int = 2, time: int = 2, height: int = 32, width: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames (B, T, 1, H, W) and the masks of the first ones."""
    frames = torch.rand(batch, time, 1, height, width, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(batch, 1, height, width)
    mask[..., height // 4 : -(height // 4), width // 3 : -(width // 3)] = 1
    return frames, mask


class TestContract:
    @pytest.mark.parametrize("size", [(64, 64), (32, 96), (50, 70), (33, 31)])
    def test_gives_one_logit_for_each_pixel_of_any_size(self, network, size):
        with torch.no_grad():
            logits = rollout(network, *clips(1, 2, *size))
        assert logits.shape == (1, 2, 1, *size)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()

    def test_every_parameter_gets_a_gradient(self, network):
        network.zero_grad()
        rollout(network, *clips()).square().mean().backward()
        without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
        assert not without
        assert any(parameter.grad.abs().sum() > 0 for parameter in network.parameters())

    def test_clips_of_a_batch_do_not_see_each_other_and_the_digits_are_the_same_again(self, network):
        frames, mask = clips(3)
        with torch.no_grad():
            together = rollout(network, frames, mask)
            alone, again = (rollout(network, frames[1:2], mask[1:2]) for _ in range(2))
        torch.testing.assert_close(together[1:2], alone, rtol=1e-3, atol=1e-3)
        assert torch.equal(alone, again)

    def test_a_frame_is_segmented_without_a_look_ahead(self, light):
        frames, mask = clips()
        other = torch.cat([frames[:, :1], 1 - frames[:, 1:]], dim=1)
        with torch.no_grad():
            assert torch.equal(rollout(light, frames, mask)[:, 0], rollout(light, other, mask)[:, 0])

    def test_starts_from_a_mask_if_it_says_so(self, light):
        frames, _ = clips()
        if light.needs_mask:
            with pytest.raises(ValueError, match="mask of the first frame: give one"):
                light.start(frames[:, 0])
        else:
            light.start(frames[:, 0])

    @pytest.mark.parametrize("case", EXPORTED, ids="-".join)
    def test_exports_and_gives_the_same(self, case):
        frames, mask = clips(1)
        step = FirstFrame(made(*case)).eval()
        exported = torch.export.export(step, (frames[:, 0], mask)).module()
        with torch.no_grad():
            torch.testing.assert_close(exported(frames[:, 0], mask), step(frames[:, 0], mask), rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("case", LIGHT, ids="-".join)
    def test_state_dict_makes_another_network_equal(self, case):
        network, twin = made(*case), make(*case)
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.add_(0.1)
        twin.load_state_dict(network.state_dict())
        with torch.no_grad():
            assert torch.equal(rollout(twin, *clips()), rollout(network, *clips()))

    def test_a_detached_state_holds_the_same_and_no_history(self, light):
        frames, mask = clips()
        _, state = light.step(light.start(frames[:, 0], mask), frames[:, 0])
        logits, _ = light.step(state, frames[:, 1])
        cut, _ = light.step(detached(state), frames[:, 1])
        assert torch.equal(logits, cut)

        def tensors(part):
            return [part] if isinstance(part, torch.Tensor) else [t for item in part for t in tensors(item)]

        assert not any(tensor.requires_grad for tensor in tensors(detached(state)))

    def test_goes_on_from_the_mask_it_is_given(self, light):
        frames, mask = clips()
        with torch.no_grad():
            state = light.start(frames[:, 0], mask)
            same = light.with_mask(state, mask)
            other = light.with_mask(state, 1 - mask)
            expected, given, changed = (light.step(s, frames[:, 1])[0] for s in (state, same, other))
        torch.testing.assert_close(given, expected)
        looks_back = not isinstance(light, UNet | MoveNet)
        assert torch.equal(changed, expected) != looks_back


@pytest.mark.parametrize("name", BACKBONES)
def test_two_branches_join_at_the_deepest_map(name):
    backbone = BACKBONES[name](in_channels=2, branches=2).eval()
    x = torch.rand(1, 2, 64, 64)
    with torch.no_grad():
        current, reference = backbone.encode(x), backbone.encode(x)
        logits = backbone.decode([*current[:-1], torch.cat([current[-1], reference[-1]], dim=1)])
    assert logits.shape == (1, 1, 64, 64)
    assert tuple(feature.shape[1] for feature in current) == backbone.channels
    assert current[-1].shape[-1] == 64 // backbone.stride


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
