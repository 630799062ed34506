import pytest
from acquire.atlas_server import Atlas


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def atlas():
    with Atlas().running() as server:
        yield server
