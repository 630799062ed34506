import torch
from omegaconf import OmegaConf

from lexy.runs.identity import identity

CONFIG = {
    "name": "runs",
    "label": "a",
    "tags": [],
    "resume": "never",
    "paths": {"outputs": "outputs", "store": "${paths.outputs}/store"},
    "data": {"store": "${paths.store}"},
    "logger": {},
    "seed": 0,
    "model": {"weights": None},
}


def digits(data="d", **changes):
    return identity(OmegaConf.merge(OmegaConf.create(CONFIG), changes), data)


def test_where_a_run_lies_and_who_watches_it_is_no_part_of_its_identity():
    others = [
        {"paths": {"outputs": "/elsewhere"}},
        {"logger": {"wandb": {"project": "x"}}},
        {"name": "sweep"},
        {"tags": ["a"]},
        {"resume": "auto"},
        {"threads": 2},
    ]
    assert {digits(**other) for other in others} == {digits()}


def test_what_it_computes_is():
    assert len({digits(), digits(seed=1), digits(model={"weights": "imagenet"}), digits(data="e")}) == 4


def test_weights_count_by_their_content(tmp_path):
    for name, value in (("a.pth", 1.0), ("b.pth", 1.0), ("c.pth", 2.0)):
        torch.save({"x": torch.tensor(value)}, tmp_path / name)
    (tmp_path / "d.pth").write_bytes((tmp_path / "a.pth").read_bytes())
    a, c, d = (digits(model={"weights": str(tmp_path / f"{name}.pth")}) for name in "acd")
    assert a == d != c


def test_the_config_is_left_as_it_is():
    config = OmegaConf.create(CONFIG)
    identity(config, "d")
    assert config.paths.outputs == "outputs"
