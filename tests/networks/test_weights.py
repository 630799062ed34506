from functools import partial

import pytest
import torch

from lexy.errors import UserError
from lexy.networks.resnet34 import ResNet34
from lexy.networks.smp import SMP
from lexy.networks.vgg16 import VGG16
from lexy.networks.weights import set_in_channels


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory):
    from torchvision.models import vgg16

    torch.manual_seed(3)
    model = vgg16(weights=None)
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    # The classifier is 480 MB of the file and no part of the backbone: a broadcast view stores one number for each.
    state = {
        k: v if k.startswith("features") else torch.zeros(1).expand(v.shape) for k, v in model.state_dict().items()
    }
    torch.save(state, path)
    return path, model.features.state_dict()


def test_published_first_convolution_is_the_mean_for_one_channel(vgg_file):
    path, features = vgg_file
    backbone = VGG16(weights=str(path), bottleneck=32)
    torch.testing.assert_close(backbone.stages[0][0].weight, features["0.weight"].mean(1, keepdim=True))
    assert torch.equal(backbone.stages[0][0].bias, features["0.bias"])
    assert torch.equal(backbone.stages[4][-2].weight, features["28.weight"])


def test_published_first_convolution_stays_random_for_two_channels_but_keeps_the_bias(vgg_file):
    path, features = vgg_file
    first = VGG16(in_channels=2, weights=str(path), bottleneck=32).stages[0][0]
    assert first.weight.shape == (64, 2, 3, 3)
    assert not any(torch.allclose(first.weight[:, i], features["0.weight"][:, j]) for i in range(2) for j in range(3))
    assert torch.equal(first.bias, features["0.bias"])


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_smp_rule_is_that_of_smp(channels):
    from segmentation_models_pytorch.encoders import get_encoder

    torch.manual_seed(0)
    reference = get_encoder("resnet18", in_channels=3, weights=None)
    ours = get_encoder("resnet18", in_channels=3, weights=None)
    ours.load_state_dict(reference.state_dict())
    reference.set_in_channels(channels, pretrained=True)
    set_in_channels(ours, channels, "smp", pretrained=True)
    torch.testing.assert_close(ours.conv1.weight, reference.conv1.weight)
    assert list(ours.out_channels) == list(reference.out_channels)


def test_smp_takes_a_local_file(tmp_path):
    from segmentation_models_pytorch.encoders import get_encoder

    encoder = get_encoder("resnet18", in_channels=3, weights=None)
    torch.save(encoder.state_dict(), tmp_path / "resnet18.pth")
    backbone = SMP(encoder="resnet18", weights=str(tmp_path / "resnet18.pth"), width=4)
    assert torch.equal(backbone.encoder.layer1[0].conv1.weight, encoder.layer1[0].conv1.weight)


@pytest.mark.parametrize("make", [partial(VGG16, bottleneck=32), partial(ResNet34, bottleneck=64), SMP])
def test_a_missing_file_is_named_at_once(make, tmp_path):
    with pytest.raises(UserError, match=r"gone\.pth.*no such file"):
        make(weights=str(tmp_path / "gone.pth"))


def test_a_file_of_another_network_is_refused(vgg_file):
    with pytest.raises(UserError, match="cannot be loaded"):
        ResNet34(weights=str(vgg_file[0]))


def test_code_in_a_weights_file_is_not_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"a": Harmful()}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match="cannot be loaded"):
        ResNet34(weights=str(tmp_path / "bad.pth"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("make", [partial(VGG16, bottleneck=32), partial(ResNet34, bottleneck=64), SMP])
def test_no_network_says_what_to_do(make, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*args, **kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr("socket.create_connection", refuse)
    with pytest.raises(UserError, match=r"cannot be fetched.*backbone\.weights=FILE.*backbone\.weights=null"):
        make(weights="imagenet")


def test_an_unknown_encoder_is_answered_with_near_ones():
    with pytest.raises(UserError, match="resnet34"):
        SMP(encoder="resnet35")


def test_unknown_weights_of_an_encoder_are_answered_with_known_ones(monkeypatch):
    monkeypatch.setattr("lexy.networks.weights._require_host", lambda url: None)
    with pytest.raises(UserError, match="imagenet"):
        SMP(encoder="resnet18", weights="imagenot")
