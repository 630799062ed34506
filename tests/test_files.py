import stat

import pytest

from lexy.errors import UserError
from lexy.files import fingerprint, replacing, replacing_folder, sha256, write_json


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


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "set"
    for content in ("first", "second"):
        with replacing_folder(folder) as partial:
            (partial / "sub").mkdir()
            (partial / "sub" / "a.txt").write_text(content)
        assert (folder / "sub" / "a.txt").read_text() == content
    with pytest.raises(RuntimeError), replacing_folder(folder) as partial:  # noqa: PT012
        (partial / "a.txt").touch()
        raise RuntimeError
    with replacing_folder(folder):
        pass
    with replacing_folder(folder), pytest.raises(UserError, match="another process is writing there"):  # noqa: SIM117
        with replacing_folder(folder):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert [path.name for path in folder.iterdir()] == ["sub"]
