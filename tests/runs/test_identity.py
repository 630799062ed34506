import multiprocessing

import pytest
import torch
from omegaconf import OmegaConf

from lexy.runs.identity import Status, attempts, identity, new_folder

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


def _make(parent):
    return new_folder(parent, "label", "12345678").name


def test_processes_that_start_at_once_get_folders_of_their_own(tmp_path):
    with multiprocessing.get_context("fork").Pool(8) as pool:
        names = pool.map(_make, [tmp_path] * 24)
    assert len(set(names)) == 24
    assert len(attempts(tmp_path, "12345678")) == 24


def test_attempts_are_in_order_and_of_this_identity_only(tmp_path):
    for name in ("x-12345678-10", "x-12345678", "x-12345678-2", "x-123456789", "y-87654321", "x-12345678-old"):
        (tmp_path / name).mkdir()
    assert [folder.name for folder in attempts(tmp_path, "12345678")] == ["x-12345678", "x-12345678-2", "x-12345678-10"]


@pytest.mark.parametrize("label", ["../../etc", "a/b c", "..."])
def test_a_label_never_leads_out_of_its_folder(tmp_path, label):
    assert new_folder(tmp_path / "runs", label, "12345678").parent == tmp_path / "runs"


def test_status_grows(tmp_path):
    status = Status(tmp_path)
    assert status.read() == {}
    status.update(state="running", run="a")
    status.update(state="done")
    assert status.read()["run"] == "a"
    assert status.read()["state"] == "done"
