"""One file, fetched from a server of the test's own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from acquire.atlas_server import Answer, Atlas, jpeg

from lexy.acquire.download.http import fetch_file
from lexy.acquire.download.politeness import Politeness
from lexy.errors import UserError

CONTENT = jpeg()


QUICK = Politeness(hosts=("127.0.0.1",), rate=1000, read_timeout=5, attempts=3, backoff=0.01, max_wait=2)


def fetch(politeness: Politeness, address: str, target: Path) -> None:
    fetch_file(address, target, politeness, politeness.max_bytes)


def fetched(atlas: Atlas, folder: Path, *answers: Answer, **changes: Any) -> bytes:
    """What a file holds that is answered thus."""
    atlas.answers["/file"] = list(answers)
    fetch(replace(QUICK, **changes), f"{atlas.address}/file", folder / "file")
    return (folder / "file").read_bytes()


def failure(atlas: Atlas, folder: Path, *answers: Answer, **changes: Any) -> str:
    """The message; nothing may be left behind."""
    with pytest.raises(UserError) as caught:
        fetched(atlas, folder, *answers, **changes)
    assert list(folder.iterdir()) == []
    return str(caught.value)


def emptied(folder: Path) -> Path:
    for path in folder.iterdir():
        path.unlink()
    return folder
