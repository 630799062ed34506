import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexy.acquire.shards import Shard, exclusive, finished_record
from lexy.errors import UserError


@given(st.lists(st.integers(), max_size=40), st.integers(1, 20))
def test_the_shards_in_a_row_are_the_list(items: list[int], count: int) -> None:
    pieces = [Shard(index, count).of(items) for index in range(count)]
    assert [item for piece in pieces for item in piece] == items
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


def test_names() -> None:
    assert Shard(3, 16).name == "shard-003-of-016"


@pytest.mark.parametrize(("index", "count"), [(-1, 4), (4, 4), (0, 0)])
def test_no_such_shard(index: int, count: int) -> None:
    with pytest.raises(UserError, match=f"shard={index}"):
        Shard(index, count)


def test_finished_record_only_with_the_same_inputs(tmp_path: Path) -> None:
    marker = tmp_path / "marker.json"
    assert finished_record(marker, "a") is None
    marker.write_text(json.dumps({"inputs": "a", "n": 1}))
    assert finished_record(marker, "a") == {"inputs": "a", "n": 1}
    assert finished_record(marker, "b") is None


def test_one_at_a_time(tmp_path: Path) -> None:
    with exclusive(tmp_path, "index"):
        with pytest.raises(UserError, match="another process is at index"), exclusive(tmp_path, "index"):
            pass
        with exclusive(tmp_path, "download"):
            pass
    with exclusive(tmp_path, "index"):
        pass


def test_a_mistake_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError), exclusive(tmp_path / "a" / "b", "index"):
        raise UserError("no such source")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError), exclusive(tmp_path / "a", "index"):
        raise UserError("no such source")
    assert (tmp_path / "a" / ".index.lock").exists()  # another process may be about to take it
