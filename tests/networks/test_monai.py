"""MONAI's networks as backbones."""

import pytest
import torch
from monai.networks import nets

from lexy.checkpoint import OWN_NETWORKS, build
from lexy.errors import UserError
from lexy.networks.monai import MONAI, cut
from lexy.networks.unet import UNet

DYNUNET = {"kernel_size": [3] * 4, "strides": [1, 2, 2, 2], "upsample_kernel_size": [2] * 3, "filters": [4, 4, 8, 8]}
ARGUMENTS = {
    "BasicUNet": {"features": [4, 4, 8, 8, 16, 4]},
    "UNet": {"channels": [4, 8, 16], "strides": [2, 2], "num_res_units": 2},
    "AttentionUnet": {"channels": [4, 8, 8, 16], "strides": [2, 2, 2]},
    "DynUNet": {**DYNUNET, "res_block": True},
    "SegResNet": {"dropout_prob": 0.1},
    "MedNeXt": {"init_filters": 4, "kernel_size": 3, "blocks_down": [1, 1], "blocks_up": [1, 2]},
    "VNet": {"dropout_dim": 2},
}


def test_every_class_that_fits_is_tried_here():
    assert {kind.__name__ for kind in cut.registry if kind is not object} == set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_what_was_cut_gives_the_digits_of_the_whole(name):
    torch.manual_seed(0)
    backbone = MONAI(in_channels=2, network=name, arguments=ARGUMENTS[name]).eval()
    torch.manual_seed(0)
    whole = getattr(nets, name)(spatial_dims=2, in_channels=2, out_channels=1, **ARGUMENTS[name]).eval()
    x = torch.rand(2, 2, 64, 96)
    with torch.no_grad():
        features = backbone.encode(x)
        assert torch.equal(backbone.decode(features), whole(x))
    assert tuple(feature.shape[1] for feature in features) == backbone.channels
    assert features[-1].shape[-2:] == (64 // backbone.stride, 96 // backbone.stride)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_parameter_gets_a_gradient_and_any_size_will_do(name):
    network = UNet(lambda **given: MONAI(**given, network=name, arguments=ARGUMENTS[name]))
    logits = network(torch.rand(2, 1, 37, 50))
    assert logits.shape == (2, 1, 37, 50)
    logits.square().mean().backward()
    assert not [name for name, parameter in network.named_parameters() if parameter.grad is None]


def test_a_checkpoint_may_name_it_and_nothing_else_of_monai():
    backbone = {"_target_": "lexy.networks.monai.MONAI", "_partial_": True, "arguments": ARGUMENTS["BasicUNet"]}
    network = build({"_target_": "lexy.networks.unet.UNet", "backbone": backbone}, [OWN_NETWORKS])
    assert isinstance(network.backbone, MONAI)
    for target in ("monai.networks.nets.BasicUNet", "lexy.networks.monai.nets.BasicUNet"):
        with pytest.raises(UserError, match="wants to build"):
            build({"_target_": "lexy.networks.unet.UNet", "backbone": {**backbone, "_target_": target}}, [OWN_NETWORKS])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("UNETR", {}, "These fit: AttentionUnet, BasicUNet"),
        ("basicunet", {}, "does not fit"),
        ("AttentionUnet", {}, "'channels' and 'strides'"),
        ("BasicUNet", {"feature": 3}, "unexpected keyword argument 'feature'"),
        ("SegResNet", {"spatial_dims": 3}, "multiple values"),
        ("DynUNet", {**DYNUNET, "deep_supervision": True}, "never be trained.*deep_supervision_heads"),
    ],
)
def test_mistakes_are_explained(name, arguments, message):
    with pytest.raises(UserError, match=message):
        MONAI(network=name, arguments=arguments)
