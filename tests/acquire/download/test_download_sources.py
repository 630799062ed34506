import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from acquire.atlas_server import Atlas, body, jpeg, status
from acquire.download_room import CONTENTS, FILES, GOOD, HTML, ONE, QUICK, Room, entries, field, put
from hypothesis import given
from hypothesis import strategies as st

from lexy.acquire.download.images import DownloadImages, _is_safe
from lexy.acquire.manifest import ChannelImage, FieldEntry
from lexy.errors import UserError
from lexy.files import sha256


def test_own_images_are_checked_and_hashed_where_they_are(tmp_path: Path) -> None:
    names = ["my cells (2)/Zelle ä_blue.tif", "my cells (2)/Zelle ä_green.tif", "b_blue.png", "b_green.png"]
    room = Room(tmp_path, entries(files=[*names, *FILES]))
    put(room.fields, CONTENTS | {names[2]: jpeg(1, format="PNG"), names[3]: HTML})
    for name in names[:2]:
        (room.fields / name).parent.mkdir(exist_ok=True)
        tifffile.imwrite(room.fields / name, np.arange(64, dtype=np.uint16).reshape(8, 8))
    (room.fields / FILES[-1]).unlink()
    before = {path: path.stat().st_mtime_ns for path in room.fields.rglob("*")}
    counts = room.run(replace(QUICK, hosts=()), max_failed_share=0.5)
    assert counts["failed_fields"] == 2
    assert [row[0] for row in room.report] == [names[3], FILES[-1]]
    assert room.manifest[0].images["green"].sha256 == sha256(room.fields / names[1])
    assert {path: path.stat().st_mtime_ns for path in room.fields.rglob("*")} == before


def test_all_four_channels(atlas: Atlas, tmp_path: Path) -> None:
    more = {"red": "50001/1_A1_1_red.jpg", "yellow": "50001/1_A1_1_yellow.jpg"}
    atlas.answers |= {f"/{file}": [body(jpeg(7))] for file in more.values()}
    room = Room(tmp_path, [field(*FILES[2:4], atlas.address, **more)])
    room.run()
    assert [*room.manifest[0].images] == ["blue", "green", "red", "yellow"]
    atlas.answers[f"/{more['red']}"] = [status(404)]
    (room.fields / more["red"]).unlink()
    assert room.run(max_failed_share=1)["failed_fields"] == 1
    assert room.manifest == []


@pytest.mark.parametrize("kind", ["image/tiff", "application/x-gzip", "application/octet-stream", None])
def test_gzipped_images_are_unpacked(atlas: Atlas, tmp_path: Path, kind: str | None) -> None:
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    tifffile.imwrite(tmp_path / "a.tif", image)
    packed = gzip.compress((tmp_path / "a.tif").read_bytes())
    files = ["1/a_blue.tif", "1/a_green.tif"]
    atlas.answers |= {f"/{file}.gz": [body(packed, kind)] for file in files}
    entry = field(*files, atlas.address)
    images = {name: replace(image, address=f"{image.address}.gz") for name, image in entry.images.items()}
    room = Room(tmp_path, [replace(entry, images=images)])
    room.run()
    np.testing.assert_array_equal(tifffile.imread(room.fields / files[0]), image)


def test_a_folder_as_a_mirror(atlas: Atlas, tmp_path: Path) -> None:
    mirror = put(tmp_path / "mirror", {**CONTENTS, FILES[-1]: HTML})
    (mirror / FILES[0]).unlink()
    room = Room(tmp_path / "a", entries(atlas.address))
    counts = room.run(mirror=str(mirror), max_failed_share=0.5)
    assert counts["failed_fields"] == 2
    assert room.report == [
        [FILES[0], str(mirror / FILES[0]), "not in the mirror, or not readable there"],
        [FILES[-1], str(mirror / FILES[-1]), "unreadable (no known kind of image)"],
    ]
    assert (room.fields / ONE).read_bytes() == GOOD
    assert atlas.asked == []
    put(mirror)
    atlas_room = Room(tmp_path / "b", entries(atlas.address))
    room.run(mirror=str(mirror))
    atlas_room.run()
    assert room.manifest == atlas_room.manifest


def test_the_folder_of_fields_as_a_mirror_is_used_in_place(atlas: Atlas, tmp_path: Path) -> None:
    room = Room(tmp_path, entries(atlas.address))
    put(room.fields)
    (room.fields / FILES[0]).unlink()
    put(room.fields, {FILES[3]: GOOD[:-50]})
    before = {path: path.stat().st_mtime_ns for path in room.fields.rglob("*")}
    assert room.run(mirror=str(room.fields), max_failed_share=0.5)["failed_images"] == 2
    assert {path: path.stat().st_mtime_ns for path in room.fields.rglob("*")} == before
    assert atlas.asked == []


def test_an_address_as_a_mirror(atlas: Atlas, tmp_path: Path) -> None:
    atlas.answers = {f"/a/b{path}": answer for path, answer in atlas.answers.items()}
    room = Room(tmp_path, entries("https://images.proteinatlas.org"))
    room.run(replace(QUICK, hosts=()), mirror=f"{atlas.address}/a/b/")
    assert len(room.manifest) == 6
    assert room.manifest[0].images["blue"].address == f"https://images.proteinatlas.org/{FILES[0]}"


@pytest.mark.parametrize("mirror", ["ftp://a.org/", "https://", "https://user:secret@a.org/", "http://[::"])
def test_mirrors_that_are_none(mirror: str) -> None:
    with pytest.raises(UserError, match=r"^download\.mirror=") as caught:
        DownloadImages(QUICK, mirror=mirror)
    assert "secret" not in str(caught.value)


def test_a_mirror_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        Room(tmp_path, entries()).run(mirror=str(tmp_path / "mirror"))


UNSAFE = [
    "../a_blue.jpg", "/etc/a_blue.jpg", "a/../b_blue.jpg", "a/./b.jpg", "a//b.jpg", "a\\b.jpg", "..\\a.jpg", "a/b.sh",
    "a", "a/b\n.jpg", "a/b\x00.jpg", "a/..", "", ".", "a/b.jpg/", f"a/{'x' * 300}.jpg",
    "a/\udc80.jpg", "a/\u202egpj.jpg",
]  # fmt: skip


NOT_PLAIN = [
    ".ssh/a.jpg",
    "a/.b.jpg",
    "a b/c.jpg",
    "~/a.jpg",
    "-rf/a.jpg",
    "a/$(b).jpg",
    "ä/b.jpg",
    "a/%2e.jpg",
    "C:/a.jpg",
]


@pytest.mark.parametrize("file", UNSAFE + NOT_PLAIN)
def test_unsafe_names_stop_everything(atlas: Atlas, tmp_path: Path, file: str) -> None:
    assert not _is_safe(ChannelImage(file, "https://a.org/a.jpg"))
    assert _is_safe(ChannelImage(file)) == (file in NOT_PLAIN)
    if "\udc80" in file:  # no Parquet file can hold it
        return
    room = Room(tmp_path, [*entries(atlas.address), field(file, "a/good_green.jpg", atlas.address)])
    with pytest.raises(UserError, match=r"index.parquet: field .* is no safe name of an image"):
        room.run()
    assert atlas.asked == []
    assert not room.fields.exists()


@given(st.text(st.sampled_from("ab./\\~: \x00\n%ä"), max_size=12).map(lambda text: f"{text}.jpg"), st.booleans())
def test_a_safe_name_is_below_the_folder(file: str, foreign: bool) -> None:
    if _is_safe(ChannelImage(file, "https://a.org" if foreign else "")):
        folder = Path("/somewhere/fields")
        path = Path(folder / file).resolve()
        assert folder in path.parents
        assert path.relative_to(folder).as_posix() == file
        assert not foreign or not any(part.startswith(".") for part in file.split("/"))


def test_an_index_that_was_edited_wrongly(tmp_path: Path) -> None:
    room = Room(tmp_path, [*entries(), field(FILES[0], "50009/1_A1_1_green.jpg")])
    with pytest.raises(UserError, match="is there twice"):
        room.run()
    room.index([FieldEntry(field="1/a", images={"blue": ChannelImage("1/a_blue.jpg")})])
    with pytest.raises(UserError, match="lacks its blue or green image"):
        room.run()
    (room.work / "index.parquet").unlink()
    with pytest.raises(UserError, match=r"index\.parquet: no manifest"):
        room.run()


def test_addresses_in_an_edited_index_lead_nowhere_else(atlas: Atlas, tmp_path: Path) -> None:
    secret = put(tmp_path / "private", {"a.jpg": GOOD}) / "a.jpg"
    places = [str(secret), f"file://{secret}", f"http://localhost:{atlas.server_port}/{ONE}", "a.jpg"]
    index = [
        replace(entry, images={name: replace(image, address=place) for name, image in entry.images.items()})
        for entry, place in zip(entries(), places, strict=False)
    ]
    room = Room(tmp_path, index)
    assert room.run(max_failed_share=1)["failed_images"] == 8
    assert atlas.asked == []
    assert not list(room.fields.rglob("*.jpg"))
