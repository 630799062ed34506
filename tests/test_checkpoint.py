from functools import partial

import pytest
import torch

import lexy
from lexy.checkpoint import FORMAT, build, facts, open_trained, packed, read, trained_on
from lexy.errors import UserError
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla

SPEC = {
    "_target_": "lexy.networks.unet.UNet",
    "backbone": {"_target_": "lexy.networks.vanilla.Vanilla", "_partial_": True, "width": 4, "depth": 2},
}


def write(path, spec=SPEC, **changes):
    network = UNet(partial(Vanilla, width=4, depth=2))
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state, "lexy": facts(spec, {"name": "phantom"}) | changes}, path)
    return network


def test_a_checkpoint_alone_rebuilds_the_network(tmp_path):
    network = write(tmp_path / "a.ckpt").eval()
    loaded = lexy.load(tmp_path / "a.ckpt")
    frame = torch.rand(1, 1, 20, 24)
    assert not loaded.training
    assert torch.equal(loaded(frame), network(frame))


def test_pretrained_weights_are_not_fetched_again(tmp_path):
    spec = {
        "_target_": "lexy.networks.unet.UNet",
        "backbone": {"_target_": "lexy.networks.smp.SMP", "_partial_": True, "weights": "imagenet", "width": 4},
    }
    assert sum(p.numel() for p in build(spec, ["lexy.networks"]).parameters()) > 1e6


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "torch.nn.Linear",
        "lexy.files.sha256",
        "lexy.networks.weights.load_torchvision",
        "lexy.networks.weights.os.system",
        "lexy.networks.unet.Backbone",
        "lexy.networksx.Anything",
    ],
)
def test_only_network_classes_of_allowed_packages_are_built(tmp_path, target):
    write(tmp_path / "a.ckpt", {**SPEC, "backbone": {**SPEC["backbone"], "_target_": target}})
    with pytest.raises(UserError, match="wants to build"):
        lexy.load(tmp_path / "a.ckpt")


@pytest.mark.parametrize("hidden", [({"_target_": "builtins.print"},), "${oc.env:HOME}", {1: "a"}, torch.zeros(1)])
def test_a_spec_of_other_than_plain_values_is_refused(tmp_path, hidden):
    write(tmp_path / "a.ckpt", {**SPEC, "backbone": hidden})
    with pytest.raises(UserError, match="never writes"):
        lexy.load(tmp_path / "a.ckpt")


def test_a_users_own_package_can_be_allowed(tmp_path, monkeypatch):
    (tmp_path / "mynetworks.py").write_text("from lexy.networks.unet import UNet\nclass Mine(UNet):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path / "a.ckpt", {**SPEC, "_target_": "mynetworks.Mine"})
    with pytest.raises(UserError, match="allow"):
        lexy.load(tmp_path / "a.ckpt")
    assert type(lexy.load(tmp_path / "a.ckpt", allow=["mynetworks"])).__name__ == "Mine"


def test_a_pickle_with_code_in_it_does_not_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"state_dict": Harmful()}, tmp_path / "bad.ckpt")
    with pytest.raises(UserError, match="not a checkpoint"):
        read(tmp_path / "bad.ckpt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"just text\n", b"PK\x03\x04 cut short"])
def test_what_is_no_checkpoint_is_named(tmp_path, content):
    (tmp_path / "notes.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=r"notes\.ckpt"):
        read(tmp_path / "notes.ckpt")


def test_missing_foreign_newer_and_unfitting_checkpoints_are_told_apart(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / "none.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="not written by lexy-train"):
        read(tmp_path / "foreign.ckpt")
    write(tmp_path / "newer.ckpt", format=FORMAT + 1)
    with pytest.raises(UserError, match="update lexy"):
        read(tmp_path / "newer.ckpt")
    write(tmp_path / "other.ckpt", {**SPEC, "backbone": {**SPEC["backbone"], "width": 8}})
    with pytest.raises(UserError, match="do not fit"):
        lexy.load(tmp_path / "other.ckpt")


def test_a_checkpoint_carries_the_network_that_starts_it_and_its_scale(tmp_path):
    starter = write(tmp_path / "starter.ckpt").eval()
    known = {"name": "phantom", "nucleus_diameter": 21.5, "crop_size": [64, 48], "pixel_size": 0.5}
    known["intensity"] = {"kind": "FrameMinMax", "background": 0.02}
    write(tmp_path / "a.ckpt", data=known, frame_network=packed(tmp_path / "starter.ckpt"))
    trained = open_trained(tmp_path / "a.ckpt")
    frame = torch.rand(1, 1, 20, 24)
    assert torch.equal(trained.frame_network(frame), starter(frame))
    assert not trained.frame_network.training
    assert (trained.nucleus_diameter, trained.crop_size, trained.pixel_size) == (21.5, (64, 48), 0.5)
    assert trained.intensity == known["intensity"]


def test_an_older_checkpoint_knows_less(tmp_path):
    write(tmp_path / "a.ckpt")
    trained = open_trained(tmp_path / "a.ckpt")
    assert (trained.frame_network, trained.nucleus_diameter, trained.crop_size, trained.pixel_size) == (None,) * 4
    assert trained.intensity is None


def test_what_starts_a_network_is_checked_as_the_network_is(tmp_path):
    write(tmp_path / "a.ckpt", frame_network={"network": {"_target_": "torch.nn.Linear"}, "weights": {}})
    with pytest.raises(UserError, match=r"wants to build torch\.nn\.Linear"):
        lexy.load(tmp_path / "a.ckpt")


def test_a_checkpoint_remembers_what_those_before_it_had_seen(tmp_path):
    first, second = {"name": "hpa", "fold": None, "groups": ["f1"]}, {"name": "lexy", "fold": 2, "groups": ["C01"]}
    write(tmp_path / "a.ckpt", data=first)
    write(tmp_path / "b.ckpt", data=second | {"before": trained_on(tmp_path / "a.ckpt")})
    write(tmp_path / "c.ckpt", data=first | {"before": trained_on(tmp_path / "b.ckpt")})
    assert trained_on(tmp_path / "a.ckpt") == [first]
    assert trained_on(tmp_path / "c.ckpt") == [first, second, first]


def test_where_a_network_of_single_frames_is_wanting_it_is_asked_for():
    with pytest.raises(UserError, match="give frame_network=CHECKPOINT"):
        lexy.load(None)


@pytest.mark.parametrize("own", [3, {"format": 1}, {"format": 1, "network": {}, "data": {}}])
def test_a_checkpoint_with_parts_missing_is_named(tmp_path, own):
    torch.save({"lexy": own}, tmp_path / "part.ckpt")
    with pytest.raises(UserError, match="was not written by lexy-train"):
        read(tmp_path / "part.ckpt")


@pytest.mark.parametrize(
    "damage",
    [
        {"format": "a"},
        {"network": [SPEC]},
        {"network": {}},
        {"network": {**SPEC, "_partial_": True}},
        {"data": [1]},
        {"data": {"before": 3}},
        {"data": {"crop_size": 3}},
        {"data": {"crop_size": [64, "a"]}},
        {"data": {"nucleus_diameter": -1.0}},
        {"data": {"intensity": "FrameMinMax"}},
        {"frame_network": 3},
        {"frame_network": {"network": SPEC}},
    ],
)
def test_a_checkpoint_with_damaged_parts_is_named(tmp_path, damage):
    write(tmp_path / "a.ckpt", **damage)
    with pytest.raises(UserError, match=r"a\.ckpt.* was not written by lexy-train"):
        open_trained(tmp_path / "a.ckpt")


@pytest.mark.parametrize("state", [None, [1], {1: torch.zeros(1)}])
def test_a_checkpoint_with_damaged_weights_is_named(tmp_path, state):
    torch.save({"state_dict": state, "lexy": facts(SPEC, {"name": "phantom"})}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="was not written by lexy-train"):
        open_trained(tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    "spec", [{**SPEC, "heads": 3}, {**SPEC, "_target_": "lexy.networks.gone.Net"}, {**SPEC, "backbone": 3}]
)
def test_a_network_that_cannot_be_built_is_one_line(tmp_path, spec):
    write(tmp_path / "a.ckpt", spec)
    with pytest.raises(UserError, match=r"a\.ckpt.*cannot be built") as caught:
        open_trained(tmp_path / "a.ckpt")
    assert "\n" not in str(caught.value)
