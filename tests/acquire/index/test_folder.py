import json
from pathlib import Path

import pytest

from lexy.acquire.index.folder import IndexFolder
from lexy.acquire.manifest import FieldEntry, read_manifest
from lexy.errors import UserError


def kept(work: Path) -> list[FieldEntry]:
    return read_manifest(work / "index.parquet")


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


PAIRS = [
    f"{name}_{channel}.jpg" for name in ("20/1_A1_1", "10/2_B2_3_cr5", "10/own name") for channel in ("blue", "green")
]


def test_a_folder_of_images(tmp_path: Path, capsys) -> None:
    fields = touch(tmp_path / "fields", *PAIRS, "10/x_blue.tif", "10/y_green.png", "10/notes.txt", "10/a\\b_blue.jpg",
                   "10/a\\b_green.jpg", "10/\a_blue.jpg", "10/\a_green.jpg")  # fmt: skip
    before = state(fields / "10")
    counts = IndexFolder().run(tmp_path / "work", fields)
    assert counts == {
        "kept": 3,
        "left_out": {"no green image beside it": 1, "no blue image beside it": 1, "name with odd characters": 2},
    }
    found = kept(tmp_path / "work")
    assert [each.field for each in found] == ["10/2_B2_3_cr5", "10/own name", "20/1_A1_1"]
    assert [(each.antibody, each.plate, each.well, each.number) for each in found] == [
        ("10", "2", "B2", "3"), ("10", "", "", ""), ("20", "1", "A1", "1")
    ]  # fmt: skip
    assert found[0].images["green"].file == "10/2_B2_3_cr5_green.jpg"
    assert found[0].images["green"].address == ""
    left_out = json.loads((tmp_path / "work" / "index.json").read_text())["source"]["left_out"]
    assert ["10/x_blue.tif", "no green image beside it"] in left_out
    assert len(left_out) == 4
    assert state(fields / "10") == before
    assert "name with odd characters" in capsys.readouterr().out


def test_a_folder_again_and_with_more_in_it(tmp_path: Path) -> None:
    fields, work = touch(tmp_path / "fields", *PAIRS), tmp_path / "work"
    assert IndexFolder().run(work, fields)["kept"] == 3
    before = state(work)
    assert IndexFolder().run(work, fields)["kept"] == 3
    assert state(work) == before
    touch(fields, "30/1_A1_1_blue.png", "30/1_A1_1_green.png")
    assert IndexFolder().run(work, fields)["kept"] == 4
    assert IndexFolder(antibodies=[10]).run(work, fields) == {"kept": 2, "left_out": {"filtered: antibody": 2}}
    assert IndexFolder(max_fields=1).run(work, fields) == {"kept": 1, "left_out": {"not drawn (max_fields)": 3}}
    with pytest.raises(UserError, match=r"index.antibodies: .*'1001'\. Did you mean 10\?"):
        IndexFolder(antibodies=["1001"]).run(work, fields)


@pytest.mark.parametrize("files", [[], ["10/notes.txt", "10/1_A1_1_red.jpg"]])
def test_a_folder_without_fields(tmp_path: Path, files: list[str]) -> None:
    with pytest.raises(UserError, match=r"no fields found\. Expected <antibody>"):
        IndexFolder().run(tmp_path / "work", touch(tmp_path / "fields", *files))
