import stat

import pytest

from lexy.files import fingerprint, replacing, sha256, write_json


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


def test_json_and_its_hash(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, "ü"], "a": None})
    write_json(tmp_path / "b.json", {"a": None, "b": [1, "ü"]})
    assert sha256(tmp_path / "a.json") == sha256(tmp_path / "b.json")


def test_fingerprint_is_of_the_content():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1}) != fingerprint({"a": 1, "b": [3]})
    # The SHA-256 of the two characters {}
    assert fingerprint({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
