from functools import partial

import pytest
import torch
from torch.optim import SGD

from lexy.errors import UserError
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla
from lexy.tasks.learning_rates import freeze, with_rates
from lexy.tasks.segmentation import SegmentationTask


@pytest.fixture
def network():
    return UNet(partial(Vanilla, width=4, depth=2, normalization="batch"))


def rates_by_name(optimizer, network):
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}


def test_the_longest_name_that_fits_counts(network):
    rates = {"backbone": 0.5, "backbone.stages": 0.1, "backbone.stages.0": 0.2}
    found = rates_by_name(with_rates(partial(SGD, lr=1.0), network, rates), network)
    assert found["backbone.stages.0.0.weight"] == pytest.approx(0.2)
    assert found["backbone.stages.1.0.weight"] == pytest.approx(0.1)
    assert found["backbone.head.weight"] == pytest.approx(0.5)
    assert found.keys() == {name for name, _ in network.named_parameters()}


def test_a_name_ends_at_a_dot(network):
    with pytest.raises(UserError, match=r"no parameter's name begins with 'backbone\.stage'.*backbone\.stages\.0\.0"):
        with_rates(partial(SGD, lr=1.0), network, {"backbone.stage": 0.1})


def test_without_rates_there_is_one_group(network):
    (group,) = with_rates(partial(SGD, lr=0.3), network, {}).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in network.parameters()]
    assert group["lr"] == 0.3


def test_what_is_frozen_keeps_its_weights_and_statistics(network):
    task = SegmentationTask(network, *[None] * 6, rates={"backbone.stages.0": 0})  # nothing else is used here
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = with_rates(partial(SGD, lr=1.0), network, task.rates)
    network(torch.rand(2, 1, 16, 16)).square().mean().backward()
    optimizer.step()
    kept = {name for name, tensor in network.state_dict().items() if torch.equal(tensor, before[name])}
    assert kept >= {name for name in before if name.startswith("backbone.stages.0.")}
    assert "backbone.stages.1.1.running_mean" not in kept
    assert "backbone.head.weight" not in kept
    assert network.backbone.stages[1].training


def test_a_part_that_is_half_frozen_goes_on_training(network):
    frozen = freeze(network, {"backbone.stages": 0, "backbone.stages.1": 1})
    assert network.backbone.stages[0] in frozen
    assert network.backbone.stages not in frozen


@pytest.mark.parametrize(("rates", "message"), [({"backbone": 0}, "whole network"), ({"backbone": -1}, "negative")])
def test_rates_that_make_no_sense(network, rates, message):
    with pytest.raises(UserError, match=message):
        freeze(network, rates)
    assert all(parameter.requires_grad for parameter in network.parameters())
