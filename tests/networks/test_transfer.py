from functools import partial

import pytest
import torch

from lexy.networks.movenet import MoveNet
from lexy.networks.siamnet import SiamNet
from lexy.networks.tracknet import TrackNet
from lexy.networks.transfer import transfer
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla

BACKBONE = partial(Vanilla, width=4, depth=2, normalization="batch")


def trained(network):
    """Weights and statistics that no fresh network has."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.copy_(torch.randn(tensor.shape).abs() + 0.5)
    return network.eval()


def test_a_tracknet_starts_as_the_unet_that_it_comes_from():
    source, network = trained(UNet(BACKBONE)), TrackNet(BACKBONE).eval()
    report = transfer(network, source.state_dict())
    frame = torch.rand(2, 1, 16, 20)
    for mask in (torch.zeros_like(frame), torch.ones_like(frame)):
        assert torch.allclose(network(frame, mask), source(frame), rtol=1e-4)
    assert [moved.tensor for moved in report if moved.how == "widened"] == ["backbone.stages.0.0.weight"]
    assert {moved.how for moved in report} == {"loaded", "widened"}


def test_a_siamnet_starts_without_its_reference():
    source, network = trained(UNet(BACKBONE)), SiamNet(BACKBONE).eval()
    transfer(network, source.state_dict())
    frame, mask = torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16)
    logits, _ = network.step(network.start(torch.rand_like(frame), mask), frame)
    assert torch.allclose(logits, source(frame), rtol=1e-4)


def test_the_same_network_is_copied_whole():
    source, network = trained(MoveNet(BACKBONE)), MoveNet(BACKBONE)
    assert {moved.how for moved in transfer(network, source.state_dict())} == {"loaded"}
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), source.state_dict().values(), strict=True)
    )


def test_what_does_not_fit_is_named_and_keeps_its_start():
    source, network = trained(MoveNet(BACKBONE)), UNet(BACKBONE)
    before = network.backbone.stages[0][0].weight.clone()
    report = {moved.tensor: moved for moved in transfer(network, source.state_dict())}
    narrower = report["backbone.stages.0.0.weight"]
    assert (narrower.how, narrower.source, narrower.network) == ("new", "4 × 3 × 3 × 3", "4 × 1 × 3 × 3")
    assert torch.equal(network.backbone.stages[0][0].weight, before)
    assert (report["flow.bias"].how, report["flow.bias"].network) == ("unused", "")
    assert report["keep"].source == "scalar"


def test_a_load_that_matches_nothing_is_an_error():
    with pytest.raises(ValueError, match=r"none of its 2 tensors.* fits one of the \d+ of UNet"):
        transfer(UNet(partial(Vanilla, width=6, depth=1)), {"other": torch.zeros(3), "head.weight": torch.zeros(2)})


def test_what_fits_a_network_of_any_width_is_no_match():
    narrow, wide = UNet(BACKBONE), UNet(partial(Vanilla, width=6, depth=2, normalization="batch"))
    fits = {name for name, tensor in narrow.state_dict().items() if tensor.shape == wide.state_dict()[name].shape}
    assert {"backbone.head.bias", "backbone.stages.0.1.num_batches_tracked"} <= fits
    with pytest.raises(ValueError, match="but for those that fit any"):
        transfer(wide, narrow.state_dict())
