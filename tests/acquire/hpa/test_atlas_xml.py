import gzip
import io
import re
import socket
from collections import Counter
from pathlib import Path

import pytest
from acquire.atlas_xml import (
    IMAGES,
    STAINS,
    antibody,
    assay,
    atlas,
    data,
    entry,
    expression,
    field,
    image,
    tissues,
)
from hypothesis import given
from hypothesis import strategies as st

from lexy.acquire.hpa import atlas_xml
from lexy.acquire.hpa.address import UnusableImage, parse_address
from lexy.acquire.hpa.atlas_xml import read_entries
from lexy.acquire.index.writer import LeftOut
from lexy.acquire.manifest import ChannelImage, FieldEntry, parse_field_name
from lexy.errors import UserError


def read(content: bytes, **settings) -> tuple[list[FieldEntry], Counter[str]]:
    fields, left_out = [], Counter[str]()
    for record in read_entries(io.BytesIO(content), "a.xml", **settings):
        if isinstance(record, LeftOut):
            left_out[record.reason] += record.count
        else:
            fields.append(record)
    return fields, left_out


def overlay(name: str, host: str = IMAGES, channels: str = "blue_red_green") -> str:
    return image(f"{host}/{name}_{channels}.jpg")


def everything() -> str:
    fucci = (
        '<customAssay><cellLine>U-2 OS</cellLine><imageGroup><channels><channel color="blue">DAPI</channel></channels>'
        f"{image(f'{IMAGES}/30741/200_382_1_blue_green_red_yellow.jpg', stains=())}</imageGroup></customAssay>"
    )
    blot = f'<westernBlot technology="WB">{image(f"{IMAGES}/115_medium.jpg", "assay", ())}</westernBlot>'
    stack = assay(data([overlay("1/2146_D7_42")]), more=' subtype="ciliated cell lines"')
    old = "http://v18.proteinatlas.org/images"
    return entry(
        f"<tissueExpression>{image('x', 'selected', ())}</tissueExpression>",
        antibody("CAB000115", tissues(7), blot),
        antibody(
            "HPA030741",
            expression(
                assay(
                    data([overlay("30741/800_A6_1", old), overlay("30741/800_A6_2", old)], "A-431"),
                    data([overlay("30741/1843_B2_17_cr5af971a263864")], "RT4", ("cytosol", " cell\n junctions ")),
                ),
                assay(data([overlay("30741/686_F11_1")], "NIH 3T3"), kind="mouse"),
                assay(data([overlay("30741/si28_H2_2"), overlay("30741/si28_H3_12")]), kind="sirna"),
                assay(f"<data>{overlay('30741/fp1_G1_1')}</data>", kind="gfp"),
                assay(data([overlay("30741/1_A1_9")]), kind="martian"),
                stack,
                fucci,
            ),
        ),
        antibody("HPA000007", expression(assay(data([overlay("7/1_A1_1")])), technology="IHC")),
    )


def test_every_image_of_an_entry_is_kept_or_left_out_for_a_reason() -> None:
    text = atlas(everything())
    fields, left_out = read(text)
    assert [each.field for each in fields] == [
        "30741/800_A6_1", "30741/800_A6_2", "30741/1843_B2_17_cr5af971a263864",
    ]  # fmt: skip
    assert left_out == {
        "tissue": 8,
        "selected": 8,
        "other assay": 2,
        "mouse": 1,
        "siRNA": 2,
        "GFP": 1,
        "custom assay": 1,
        "stack of planes": 1,
        "no immunofluorescence": 1,
    }
    assert len(fields) + left_out.total() == text.count(b"<image ")


def test_a_field_knows_all_that_the_entry_says() -> None:
    fields, _ = read(atlas(everything()), channels=("blue", "green", "yellow"), format="tif")
    name = "30741/1843_B2_17_cr5af971a263864"
    assert fields[2] == FieldEntry(
        field=name,
        images={
            channel: ChannelImage(f"{name}_{channel}.tif", f"https://images.proteinatlas.org/{name}_{channel}.tif.gz")
            for channel in ("blue", "green", "yellow")
        },
        antibody="HPA030741",
        cell_line="RT4",
        gene="CCNB1",
        reliability="approved",
        plate="1843",
        well="B2",
        number="17",
        release="20",
        locations=("cytosol", "cell junctions"),
    )
    old, _ = read(atlas(everything()))
    assert old[0].images["green"] == ChannelImage(
        "30741/800_A6_1_green.jpg", "https://v18.proteinatlas.org/images/30741/800_A6_1_green.jpg"
    )


def test_single_entries_and_answers_to_a_search_are_read_alike() -> None:
    both = read(atlas(field(1), field(2, version="18", reliability="enhanced", gene="X")))[0]
    alone = [read(f"\n  {text}".encode())[0][0] for text in (field(1), field(2, version="18", reliability="enhanced"))]
    assert [each.field for each in both] == ["1/24_H11_1", "2/24_H11_1"]
    assert [(each.release, each.reliability, each.gene) for each in both] == [
        ("20", "approved", "CCNB1"), ("18", "enhanced", "X")
    ]  # fmt: skip
    assert both[0] == alone[0]


def test_an_entry_without_cells_or_name() -> None:
    assert read(atlas("<entry version='20'><identifier id='ENSG7'/></entry>")) == ([], Counter())
    fields, _ = read(atlas(re.sub("<name>.*?</name>", "", field())))
    assert fields[0].gene == "ENSG1"


def test_what_is_said_of_a_gene_may_come_last() -> None:
    text = field()
    own = re.search("<name>.*?</cellExpression>", text)
    assert own is not None
    turned = text.replace(own[0], "").replace("</entry>", f"{own[0]}</entry>")
    assert read(atlas(turned)) == read(atlas(text))


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (image(None), "no address"),
        (image(" "), "no address"),
        (overlay("1/1_A1_1", "https://example.org"), "address on another host"),
        (overlay("1/1_A1_1", "https://proteinatlas.org.example.org"), "address on another host"),
        (overlay("1/1_A1_1", "https://evilproteinatlas.org"), "address on another host"),
        (overlay("1/1_A1_1", "https://a@images.proteinatlas.org"), "address of another shape"),
        (overlay("1/1_A1_1", "ftp://images.proteinatlas.org"), "address of another shape"),
        (overlay("../1_A1_1"), "address of another shape"),
        (overlay("1/../1_A1_1"), "address of another shape"),
        (overlay("HPA1/1_A1_1"), "address of another shape"),
        (overlay("1/1_A1_1_x_y"), "address of another shape"),
        (overlay("1/1_A1_ä"), "address of another shape"),
        (overlay("1/1_A 1_1"), "address of another shape"),
        (overlay("1/1_A1_1", channels="selected"), "address of another shape"),
        (overlay("1/1_A1_1") .replace(".jpg", ".jpg?x=../../y"), "address of another shape"),
        (overlay("1/1_A1_1", channels="red_green"), "no blue channel"),
        (overlay("1/1_A1_1", channels="blue_red"), "no green channel"),
        (image(f"{IMAGES}/1/1_A1_1_blue_red_green.jpg", stains=STAINS[1:]), "no blue channel"),
        (image(f"{IMAGES}/1/1_A1_1_blue_red_green.jpg", "assay"), "no sample image"),
        (image(f"{IMAGES}/1/1_A1_1_blue_red_green.jpg", "selected"), "selected"),
    ],
)  # fmt: skip
def test_an_image_with_a_defect_is_left_out_and_the_next_one_read(one: str, reason: str) -> None:
    fields, left_out = read(atlas(entry(antibody("HPA000001", expression(assay(data([one, overlay("1/2_B2_2")])))))))
    assert [each.field for each in fields] == ["1/2_B2_2"]
    assert left_out - Counter(selected=2) == {reason: 1}


@pytest.mark.parametrize("id", ["", "../HPA1", "4109", "HPA", "hpa1 "])
def test_an_antibody_without_an_id(id: str) -> None:
    assert read(atlas(entry(antibody(id, expression(assay(data([overlay("1/2_B2_2")])))))))[1]["no antibody id"] == 1


def test_an_image_without_cell_line() -> None:
    text = atlas(entry(antibody("HPA1", expression(assay(data([overlay("1/2_B2_2")], None))))))
    assert read(text)[1]["no cell line"] == 1


def test_hosts_are_a_parameter() -> None:
    text = atlas(entry(antibody("HPA1", expression(assay(data([overlay("1/2_B2_2", "http://127.0.0.1:80/images")]))))))
    assert read(text)[1]["address on another host"] == 1
    fields, _ = read(text, hosts=("127.0.0.1",))
    assert fields[0].images["blue"].address == "http://127.0.0.1/images/1/2_B2_2_blue.jpg"


PART = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,10}", fullmatch=True)
COLOURS = ("blue", "green", "red", "yellow")
SUFFIX = st.none() | PART.filter(lambda text: text not in COLOURS)


@given(
    st.integers(0, 10**9 - 1), PART, PART, st.integers(0, 9999), SUFFIX,
    st.lists(st.sampled_from(COLOURS), min_size=1, unique=True),
)  # fmt: skip
def test_addresses_are_taken_apart_as_they_were_put_together(antibody, plate, well, number, suffix, channels) -> None:
    name = f"{plate}_{well}_{number}" + ("" if suffix is None else f"_{suffix}")
    address = parse_address(f"{IMAGES}/{antibody}/{name}_{'_'.join(channels)}.jpg")
    assert (address.plate, address.well, address.number) == (plate, well, str(number))
    assert address.channels == tuple(channels)
    assert address.field == f"{antibody}/{name}"
    assert parse_field_name(address.field) == (plate, well, str(number))


@given(
    st.lists(
        st.sampled_from(["/", "..", "_", ".", "blue", "green", "1", "A1", "\n", "\0", "%2e", "\\", "é", "٣", "-"])
        | st.text(max_size=2),
        max_size=12,
    ).map("".join),
    st.sampled_from(["", "_blue_green.jpg", "/1_A1_1_blue_green.jpg"]),
)
def test_no_address_leads_out_of_the_folder_of_fields(middle: str, end: str) -> None:
    try:
        address = parse_address(f"{IMAGES}/1{middle}{end}")
    except UnusableImage:
        return
    assert re.fullmatch(r"[0-9]+/[A-Za-z0-9-]+(_[A-Za-z0-9-]+){2,3}", address.field)
    assert address.folder == "https://images.proteinatlas.org"


@pytest.mark.parametrize("name", ["a", "1_A1", "50001/1_A1_x1", "1_A1_1_2_3"])
def test_other_names_of_fields_say_nothing(name: str) -> None:
    assert parse_field_name(name) == ("", "", "")


BOMB = (
    '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">'
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"<!DOCTYPE entry [{BOMB}]><entry><name>&c;</name></entry>", "declaration.*refused"),
        ('<!DOCTYPE entry [<!ENTITY % a SYSTEM "file:///etc/hostname"> %a;]><entry/>', "declaration.*refused"),
        ("<!DOCTYPE html><html><body>Not found</body></html>", "declaration.*web page"),
        ("<html><body>Not found</body></html>", "root is 'html'"),
        ("<entry><name>&unknown;</name></entry>", "undefined entity: line 1"),
        ("<entry><name></entry>", "mismatched tag: line 1"),
        ("", "no element found"),
        ("Not found", "syntax error: line 1"),
        (b"\x1f\x8b\x08 gzip", "not well-formed"),
        (b"<entry><name>\xff\xfe</name></entry>", "not well-formed"),
        ('<?xml version="1.0" encoding="martian"?><entry/>', "unknown encoding"),
        ('<?xml version="1.0" encoding="shift-jis"?><entry/>', "multi-byte encodings are not supported"),
        ("<entry>" + "<a>" * 500, "more than 100 deep"),
    ],
)
def test_damaged_and_dangerous_files_are_refused(content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read(content.encode() if isinstance(content, str) else content)
    assert str(caught.value).startswith("a.xml")


def test_nothing_external_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("HPA004109")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        web = f"http://127.0.0.1:{server.getsockname()[1]}/x.dtd"
        for declaration in (
            f'<!DOCTYPE entry SYSTEM "{web}">',
            f'<!DOCTYPE entry [<!ENTITY x SYSTEM "{(tmp_path / "secret.txt").as_uri()}">]>',
            f'<!DOCTYPE entry [<!ENTITY x SYSTEM "{web}">]>',
        ):
            with pytest.raises(UserError, match="refused") as caught:
                read(f"{declaration}<entry><name>&x;</name></entry>".encode())
            assert "HPA004109" not in str(caught.value)
        with pytest.raises(TimeoutError):
            server.accept()


WHOLE = atlas(everything()).rstrip()


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_was_cut_short_is_never_taken_for_a_whole_one(end: int) -> None:
    with pytest.raises(UserError, match=r"a\.xml: no whole XML"):
        read(WHOLE[:end])


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=3))
def test_damage_ends_in_a_message_or_in_fields_with_safe_names(place: int, damage: bytes) -> None:
    try:
        fields, _ = read(WHOLE[:place] + damage + WHOLE[place + len(damage) :])
    except UserError:
        return
    assert all(re.fullmatch(r"[0-9]+/[A-Za-z0-9_-]+", each.field) for each in fields)


def test_a_damaged_gzip_file() -> None:
    packed = gzip.compress(atlas(everything()))
    for damaged in (packed[:-20], packed[:200] + bytes(50) + packed[250:]):
        with pytest.raises(UserError, match=r"a\.xml, line .* cannot be read on"):
            list(read_entries(gzip.GzipFile(fileobj=io.BytesIO(damaged)), "a.xml"))


def test_an_entry_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas_xml, "MAX_SIZE", 10_000)
    assert len(read(atlas(*(field(at) for at in range(100))))[0]) == 100
    with pytest.raises(UserError, match="an entry with more than 1e"):
        read(atlas(field().replace("cytosol", "cytosol" * 2000)))
