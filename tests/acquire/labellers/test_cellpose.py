"""What holds for every version of Cellpose: the suite runs it with 3.x, `make test-cellpose4` with 4.x.

With 4.x each image takes half a minute: what can be told without the network is.
"""

import socket
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from cellpose_networks import SMALL, models, save_network

from lexy.acquire.labellers import Labeller, weights
from lexy.acquire.labellers.cellpose import Cellpose
from lexy.errors import UserError

pytestmark = pytest.mark.xdist_group("cellpose")  # importing it takes longer than the tests

IMAGES = [np.zeros((4, 4), np.uint8)]
NAMES = ["50000/1_A1_1"]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return save_network(tmp_path_factory.mktemp("weights") / "random")


@pytest.fixture
def standard(network):
    """Name and file name of the model that is taken when none is named."""
    return ("nuclei", "nucleitorch_0") if SMALL else (models.MODEL_NAMES[0], models.MODEL_NAMES[0])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where named models are looked for; nothing is there yet and nobody answers."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        serve_from(unused.getsockname()[1], monkeypatch)
    monkeypatch.setattr(models, "MODEL_DIR", tmp_path / "models")
    return tmp_path / "models"


def serve_from(port, monkeypatch):
    monkeypatch.setitem(weights.ADDRESSES, version("cellpose")[0], f"http://127.0.0.1:{port}")


def test_nuclei_of_one_image(network):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60000, (90, 130)).astype(np.uint16)
    labeller = Cellpose(str(network), diameter=30, flow_threshold=0, cellprob_threshold=-6, size=96, batch_size=1)
    assert isinstance(labeller, Labeller)
    (labels,) = labeller.label([image], NAMES)
    assert isinstance(labels, np.ndarray)
    assert (labels.dtype, labels.shape) == (np.int32, image.shape)
    assert labels.max() > 0
    assert np.unique(labels[labels > 0]).tolist() == list(range(1, labels.max() + 1))


def test_settings_are_all_that_decides_the_labels(network, tmp_path):
    def settings(file=network, **changes):
        return Cellpose(str(file), **{"diameter": 30.0, **changes}).settings()

    first = settings()
    assert first["class"] == "lexy.acquire.labellers.cellpose.Cellpose"
    assert first["cellpose"] == version("cellpose")
    assert settings(batch_size=2, device="meta") == first
    for change in ({"diameter": 31.0}, {"flow_threshold": 0.0}, {"cellprob_threshold": 1.0}, {"size": 256}):
        assert settings(**change) != first
    elsewhere = tmp_path / network.name
    elsewhere.write_bytes(network.read_bytes())
    assert settings(elsewhere) == first
    elsewhere.write_bytes(b"other")
    assert settings(elsewhere)["weights"] != first["weights"]


def test_a_weights_file_that_is_not_there_is_an_error_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv(weights.VARIABLE, "/my/weights")
    with pytest.raises(UserError, match=r"gone/net: no such file.*/my/weights.*CELLPOSE_LOCAL_MODELS_PATH"):
        Cellpose(str(tmp_path / "gone" / "net"))


def test_no_cellpose_at_all(monkeypatch):
    monkeypatch.setitem(sys.modules, "cellpose", None)
    with pytest.raises(UserError, match=r'pip install "lexy\[cellpose3\]".*lexy\[cellpose4\]'):
        Cellpose()


def test_making_one_does_not_import_torch(network):
    code = (
        "import sys; from lexy.acquire.labellers.cellpose import Cellpose\n"
        f"Cellpose({str(network)!r}); assert not {{'torch', 'cellpose'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("ask", [Cellpose.settings, lambda labeller: labeller.label(IMAGES, NAMES)])
def test_no_network_is_an_error_that_names_file_variable_and_folder(standard, folder, ask):
    with pytest.raises(UserError) as raised:
        ask(Cellpose(diameter=30))
    for part in (standard[1], weights.VARIABLE, str(folder), "127.0.0.1"):
        assert part in str(raised.value)
    assert list(folder.iterdir()) == []


def test_named_weights_are_fetched_once(network, standard, folder, tmp_path, monkeypatch):
    name, file = standard
    site = tmp_path / "site"
    site.mkdir()
    (site / file).write_bytes(network.read_bytes())
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        serve_from(server.server_port, monkeypatch)
        by_name = Cellpose(name, diameter=30).settings()
        server.shutdown()
    assert [path.name for path in folder.iterdir()] == [file]
    assert Cellpose(diameter=30).settings() == by_name | {"model": file}
    assert by_name["weights"] == Cellpose(str(network), diameter=30).settings()["weights"]


def test_a_page_in_place_of_weights_is_not_kept(folder, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "empty"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        serve_from(server.server_port, monkeypatch)
        with pytest.raises(UserError, match="status 404"):
            Cellpose(diameter=30).settings()
        server.shutdown()
    assert list(folder.iterdir()) == []


def test_a_model_that_this_version_does_not_have(folder):
    with pytest.raises(UserError, match=r"nucleus: neither a file nor a model.*" + models.MODEL_NAMES[0]):
        Cellpose("nucleus").settings()


class Intruder:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


@pytest.mark.parametrize("kind", ["rubbish", "foreign network", "another version", "code"])
def test_weights_that_are_none(kind, tmp_path):
    file, trace = tmp_path / "net", tmp_path / "trace"
    if kind == "rubbish":
        file.write_bytes(b"rubbish")
    else:
        other = {"W2": torch.zeros(1)} if SMALL else {"output.2.weight": torch.zeros(3, 32, 1, 1)}
        values = {"foreign network": {"weight": torch.zeros(1)}, "another version": other, "code": Intruder(trace)}
        torch.save(values[kind], file)
    with pytest.raises(UserError, match=rf"{file}: (no weights that can be read safely|not a network of Cellpose)"):
        Cellpose(str(file), diameter=30).label(IMAGES, NAMES)
    assert not trace.exists()


@pytest.mark.parametrize("device", ["cuda:99", "gpu"])
def test_a_device_that_is_not_there(network, device):
    with pytest.raises(UserError, match=rf"labeller\.device={device}: no such device"):
        Cellpose(str(network), diameter=30, device=device).label(IMAGES, NAMES)
