from collections.abc import Iterator

import pytest
from acquire.atlas_server import Atlas
from acquire.download_room import heal


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def atlas() -> Iterator[Atlas]:
    server = Atlas()
    heal(server)
    with server.running():
        yield server
