import stat

import pytest

from lexy.errors import UserError
from lexy.files import fingerprint, held, in_use, replacing, replacing_folder, sha256, write_json


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "sub" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with pytest.raises(RuntimeError), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text("second, cut sho")
        raise RuntimeError
    assert path.read_text() == "first"
    assert [item.name for item in path.parent.iterdir()] == ["a.txt"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o444


def test_a_folder_is_replaced_by_a_whole_one_alone(tmp_path):
    path = tmp_path / "sub" / "a"
    for content, last, whole in (("first", "end", True), ("second", "middle", False), ("third", "end", True)):
        with replacing_folder(path, last=["end"], busy="busy") as partial:
            (partial / "b").mkdir()
            (partial / "b" / "c.txt").write_text(content)
            (partial / last).touch()
            with pytest.raises(UserError, match="busy"), replacing_folder(path, last=["end"], busy="busy"):
                pass
        assert ((path / "b" / "c.txt").read_text() == content) == whole
    with pytest.raises(RuntimeError), replacing_folder(path, last=["end"], busy="busy") as partial:  # noqa: PT012
        (partial / "end").touch()
        raise RuntimeError
    assert (path / "b" / "c.txt").read_text() == "third"
    assert [item.name for item in path.parent.iterdir()] == ["a"]


def test_one_process_at_a_time_holds_a_file_or_folder(tmp_path):
    (tmp_path / "lock").touch()
    for path in (tmp_path, tmp_path / "lock"):
        with held(path, patience=0):
            assert in_use(path)
            with pytest.raises(UserError, match="still going"), held(path, patience=0):
                pass
        assert not in_use(path)


def test_json_and_its_hash(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, "ü"], "a": None})
    write_json(tmp_path / "b.json", {"a": None, "b": [1, "ü"]})
    assert sha256(tmp_path / "a.json") == sha256(tmp_path / "b.json")


def test_fingerprint_is_of_the_content():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1}) != fingerprint({"a": 1, "b": [3]})
    # The SHA-256 of the two characters {}
    assert fingerprint({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
