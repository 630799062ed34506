"""What only Cellpose 3 has, and what is too slow to be tried with 4 as well."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cellpose_networks import models, save_network
from skimage.transform import resize

from lexy.acquire.labellers.cellpose import Cellpose
from lexy.errors import UserError

pytestmark = pytest.mark.xdist_group("cellpose")  # importing it takes longer than the tests

EVERY = {"flow_threshold": 0, "cellprob_threshold": -6}
NAMES = ["50000/1_A1_1", "50000/1_A1_2"]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("weights") / "random")


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape).astype(np.uint8) for shape in ((80, 100), (60, 72))]


def own_answer(network: Path, image: np.ndarray, **settings: Any) -> np.ndarray:
    """Cellpose itself, called as its manual says."""
    model = models.CellposeModel(pretrained_model=str(network), device=torch.device("cpu"))
    return model.eval(image, channels=[0, 0], **EVERY, **settings)[0]


def test_equals_cellpose_itself(network: Path, images: list[np.ndarray]) -> None:
    found = Cellpose(str(network), diameter=30, **EVERY).label(images, NAMES)
    for image, labels in zip(images, found, strict=True):
        np.testing.assert_array_equal(labels, own_answer(network, image, diameter=30))
        assert labels.max() > 0  # type: ignore[union-attr]


def test_resized_before_and_after(network: Path, images: list[np.ndarray]) -> None:
    (found, _) = Cellpose(str(network), diameter=30, size=96, **EVERY).label(images, NAMES)
    small = resize(images[0].astype(float), (96, 96), anti_aliasing=False, preserve_range=True)
    own = own_answer(network, small, diameter=30)
    back = resize(own, images[0].shape, order=0, anti_aliasing=False, preserve_range=True)
    numbers = np.unique(back, return_inverse=True)[1].reshape(back.shape)
    np.testing.assert_array_equal(found, numbers)


def save_size(file: Path, diameter: float = 30.0) -> None:
    rng = np.random.default_rng(0)
    values = {"A": rng.normal(0, 0.02, 256), "smean": rng.random(256), "diam_mean": diameter, "ymean": np.float64(0.5)}
    np.save(file, values)  # type: ignore[arg-type]


def test_automatic_diameter_equals_cellpose_itself(network: Path, images: list[np.ndarray], tmp_path: Path) -> None:
    weights = tmp_path / "net"
    weights.write_bytes(network.read_bytes())
    save_size(tmp_path / "size_net.npy")
    labeller = Cellpose(str(weights), **EVERY)
    found = labeller.label(images, NAMES)
    model = models.CellposeModel(pretrained_model=str(weights), device=torch.device("cpu"))
    size = models.SizeModel(model, pretrained_size=str(tmp_path / "size_net.npy"))
    diameters = size.eval(images, channels=[0, 0])[0]
    for image, labels, diameter in zip(images, found, diameters, strict=True):
        np.testing.assert_array_equal(labels, own_answer(weights, image, diameter=diameter))
    first = labeller.settings()
    assert first["size_weights"] is not None
    save_size(tmp_path / "size_net.npy", diameter=20)
    assert Cellpose(str(weights), **EVERY).settings() != first
    assert Cellpose(str(weights), diameter=30, **EVERY).settings()["size_weights"] is None


def test_automatic_diameter_without_its_file(network: Path) -> None:
    with pytest.raises(UserError, match=r"random_size\.npy: no such file.*labeller\.diameter=NUMBER"):
        Cellpose(str(network)).settings()


class Intruder:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("kind", ["rubbish", "numbers", "incomplete", "code"])
def test_size_weights_that_are_none(kind: str, network: Path, tmp_path: Path) -> None:
    weights, file, trace = tmp_path / "net", tmp_path / "net_size.npy", tmp_path / "trace"
    weights.write_bytes(network.read_bytes())
    contents: dict[str, Any] = {
        "numbers": np.arange(3),
        "incomplete": {"A": np.zeros(3)},
        "code": {"A": Intruder(trace)},
    }
    np.save(file, contents[kind]) if kind in contents else file.write_bytes(b"rubbish")
    with pytest.raises(UserError, match=r"net_size\.npy: no size model of Cellpose that can be read safely"):
        Cellpose(str(weights)).label([np.zeros((4, 4), np.uint8)], ["a"])
    assert not trace.exists()


def test_an_incomplete_network_is_refused(network: Path, tmp_path: Path) -> None:
    state = torch.load(network, weights_only=True)
    del state["upsample.up.res_up_0.conv.conv_0.0.weight"]
    torch.save(state, tmp_path / "net")
    with pytest.raises(UserError, match=r"net: not a network of Cellpose 3.*no upsample\.up\.res_up_0"):
        Cellpose(str(tmp_path / "net"), diameter=30).label([np.zeros((4, 4), np.uint8)], ["a"])
