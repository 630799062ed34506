import gzip
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from acquire.atlas_server import Atlas, body, status
from acquire.atlas_xml import atlas, entry, field, large, tissues
from cli_runs import REPOSITORY, environment
from omegaconf import OmegaConf

from lexy.acquire.download.politeness import Politeness
from lexy.acquire.hpa.address import HOSTS
from lexy.acquire.hpa.index import IndexAtlas
from lexy.acquire.manifest import FieldEntry, read_manifest
from lexy.errors import UserError

CELLS = [
    field(10, "24_H11_1", "U-2 OS", ("cytosol",), reliability="approved"),
    field(20, "24_H12_2", "U2OS", ("Nucleoplasm", "Nucleoli rim"), version="25"),
    field(30, "25_A1_3_cr5a", "A-431", ("nucleoli",), reliability="enhanced"),
    field(40, "25_A2_4", "RT4", ()),
]


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    return save(tmp_path / "cells.xml", *CELLS)


def save(path: Path, *entries: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(atlas(*entries))
    return path


def index(source: Path | str, work: Path, politeness: Politeness | None = None, **settings: Any) -> dict[str, Any]:
    return IndexAtlas(str(source), politeness or Politeness(HOSTS), **settings).run(work, work / "no_fields")


def kept(work: Path) -> list[FieldEntry]:
    return read_manifest(work / "index.parquet")


def numbers(work: Path) -> list[str]:
    return [each.field.partition("/")[0] for each in kept(work)]


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}


def test_the_manifest_is_in_the_order_of_names_and_counts_add_up(tmp_path: Path, capsys) -> None:
    source = save(tmp_path / "a.xml", CELLS[2], field(4).replace("</entry>", f"{tissues(5)}</entry>"), CELLS[0])
    counts = index(source, tmp_path / "work")
    assert counts == {"kept": 3, "left_out": {"tissue": 5, "selected": 6}}
    assert [each.field for each in kept(tmp_path / "work")] == ["10/24_H11_1", "30/25_A1_3_cr5a", "4/24_H11_1"]
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["index.json", "index.parquet"]
    info = json.loads((tmp_path / "work" / "index.json").read_text())
    assert info["counts"] == counts
    assert info["settings"]["source"] == str(source)
    report = capsys.readouterr().out.split()
    assert report[report.index("kept") + 2] == "3"
    assert report[report.index("tissue") + 2] == "5"


def test_a_field_listed_under_two_genes_is_kept_once_whatever_comes_first(tmp_path: Path) -> None:
    twins = [field(1, gene="B"), field(1, gene="A"), field(2, gene="C")]
    for at, entries in enumerate((twins, twins[::-1])):
        work = tmp_path / f"work{at}"
        counts = index(save(tmp_path / "a.xml", *entries), work)
        assert counts == {"kept": 2, "left_out": {"selected": 6, "listed twice": 1}}
        assert [each.gene for each in kept(work)] == ["A", "C"]


@pytest.mark.parametrize(
    ("settings", "wanted", "reason"),
    [
        ({"cell_lines": ["u2os"]}, ["10", "20"], "filtered: cell line"),
        ({"cell_lines": ["U-2 OS", "RT-4"]}, ["10", "20", "40"], "filtered: cell line"),
        ({"locations": ["CYTOSOL", "Nucleoplasm"]}, ["10", "20"], "filtered: location"),
        ({"locations": ["nucleoli"]}, ["30"], "filtered: location"),
        ({"without_locations": ["nucleoli rim", "Nucleoli"]}, ["10", "40"], "filtered: unwanted location"),
        ({"antibodies": ["HPA000010", "30"]}, ["10", "30"], "filtered: antibody"),
        ({"antibodies": [40]}, ["40"], "filtered: antibody"),
        ({"reliability": ["Enhanced"]}, ["30"], "filtered: reliability"),
        ({"locations": ["cytosol"], "cell_lines": ["U2OS"], "antibodies": [10]}, ["10"], "filtered: location"),
    ],
)
def test_filters(cells: Path, tmp_path: Path, settings: dict[str, Any], wanted: list[str], reason: str) -> None:
    counts = index(cells, tmp_path / "work", **settings)
    assert numbers(tmp_path / "work") == wanted
    assert counts == {"kept": len(wanted), "left_out": {"selected": 8, reason: 4 - len(wanted)}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell_lines": ["U2OS", "U20S"]}, r"index.cell_lines: .*'U20S'. Did you mean U2OS\?"),
        ({"locations": ["Cytosoll"]}, r"index.locations: .* Did you mean cytosol\?"),
        ({"without_locations": ["Golgi"]}, "index.without_locations: .*There are: Nucleoli rim, Nucleoplasm, cytosol,"),
        ({"antibodies": ["HPA000011"]}, "index.antibodies: .*Did you mean .*HPA000010"),
        ({"reliability": ["supported"]}, "index.reliability"),
    ],
)
def test_a_value_that_nothing_has_is_a_mistake(cells: Path, tmp_path: Path, settings, message) -> None:
    with pytest.raises(UserError, match=message):
        index(cells, tmp_path / "work", **settings)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_source_without_cells_keeps_nothing_and_complains_of_no_filter(tmp_path: Path) -> None:
    source = save(tmp_path / "a.xml", entry(tissues(2)))
    assert index(source, tmp_path / "work", cell_lines=["U2OS"]) == {
        "kept": 0,
        "left_out": {"selected": 1, "tissue": 2},
    }
    assert kept(tmp_path / "work") == []


def test_the_draw_depends_on_the_seed_and_not_on_the_order(tmp_path: Path) -> None:
    entries = [field(at) for at in range(100)]
    drawn = {}
    for seed in (0, 1):
        for number in (10, 20, 100):
            for order in (0, 1):
                random.Random(order).shuffle(entries)
                work = tmp_path / f"{seed} {number} {order}"
                counts = index(save(tmp_path / "a.xml", *entries), work, max_fields=number, seed=seed)
                assert counts["kept"] == number
                assert counts["left_out"].get("not drawn (max_fields)", 0) == 100 - number
                drawn[seed, number, order] = numbers(work)
            assert drawn[seed, number, 0] == drawn[seed, number, 1] == sorted(drawn[seed, number, 0])
        assert set(drawn[seed, 10, 0]) < set(drawn[seed, 20, 0])
    assert drawn[0, 20, 0] != drawn[1, 20, 0]
    assert max(map(int, drawn[0, 20, 0])) > 50 > min(map(int, drawn[0, 20, 0]))


def test_running_again_does_nothing(cells: Path, tmp_path: Path, capsys) -> None:
    counts = index(cells, tmp_path / "work", max_fields=2)
    before = state(tmp_path / "work")
    assert index(cells, tmp_path / "work", max_fields=2) == counts
    assert state(tmp_path / "work") == before
    assert "nothing to do" in capsys.readouterr().out


def test_other_settings_or_another_source_make_it_anew(cells: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    index(cells, work, max_fields=2)
    assert index(cells, work)["kept"] == len(kept(work)) == 4
    save(cells, *CELLS[:3])
    assert index(cells, work)["kept"] == len(kept(work)) == 3
    (work / "index.parquet").unlink()
    assert index(cells, work)["kept"] == len(kept(work)) == 3


def test_a_failure_leaves_the_index_as_it_was(cells: Path, tmp_path: Path) -> None:
    work, broken = tmp_path / "work", tmp_path / "broken.xml"
    index(cells, work)
    before = state(work)
    broken.write_bytes(cells.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"broken\.xml: no whole XML .*line"):
        index(broken, work)
    with pytest.raises(UserError, match="Did you mean"):
        index(cells, work, cell_lines=["U20S"])
    assert state(work) == before


def test_what_a_killed_run_left_is_no_harm(cells: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ".index.sqlite").write_bytes(b"half a table")
    assert index(cells, tmp_path / "work")["kept"] == 4
    assert not (tmp_path / "work" / ".index.sqlite").exists()


def test_a_folder_and_gzipped_files_whatever_they_are_called(cells: Path, tmp_path: Path) -> None:
    folder = tmp_path / "entries"
    save(folder / "b.xml", *CELLS[:1])
    (folder / "a.XML.gz").write_bytes(gzip.compress(field(7).encode()))
    (folder / "c.xml").write_bytes(gzip.compress(CELLS[1].encode()))
    (folder / "notes.txt").write_text("no XML")
    assert index(folder, tmp_path / "work")["kept"] == 3
    assert numbers(tmp_path / "work") == ["10", "20", "7"]


def test_missing_sources(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source, message in (
        (tmp_path / "none.xml", "none.xml: no such file"),
        (tmp_path / "empty", "no \\*.xml"),
        ("", "index.source=: no such"),
    ):
        with pytest.raises(UserError, match=message):
            index(source, tmp_path / "work")


@pytest.mark.parametrize("channels", [["blue"], ["green", "red"], ["blue", "green", "blue"]])
def test_blue_and_green_are_needed(channels) -> None:
    with pytest.raises(UserError, match="blue and green"):
        IndexAtlas("a.xml", Politeness(HOSTS), channels=channels)


def test_all_channels_as_tiff(cells: Path, tmp_path: Path) -> None:
    index(cells, tmp_path / "work", channels=["green", "blue", "red", "yellow"], format="tif")
    images = kept(tmp_path / "work")[2].images
    assert images.keys() == {"blue", "green", "red", "yellow"}
    assert images["yellow"].file == "30/25_A1_3_cr5a_yellow.tif"
    assert images["yellow"].address == "https://images.proteinatlas.org/30/25_A1_3_cr5a_yellow.tif.gz"


def test_images_elsewhere_are_left_out(cells: Path, tmp_path: Path) -> None:
    counts = index(cells, tmp_path / "work", Politeness(hosts=("example.org",)))
    assert counts == {"kept": 0, "left_out": {"selected": 8, "address on another host": 4}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Atlas().running() as running:
        yield running


QUICK = Politeness(hosts=("127.0.0.1", "proteinatlas.org"), rate=1000, attempts=2, backoff=0.01, max_bytes=1000)


@pytest.mark.parametrize(("path", "name"), [("/search/a%20b?format=xml", ".xml"), ("/proteinatlas.xml.gz", ".xml.gz")])
def test_an_address_is_asked_once(server: Atlas, tmp_path: Path, path: str, name: str) -> None:
    content = atlas(*CELLS)
    assert len(content) > QUICK.max_bytes
    server.answers[path] = [body(gzip.compress(content) if path.endswith("gz") else content, "application/xml")]
    address = f"http://127.0.0.1:{server.server_port}{path}"
    for max_fields in (None, 2):
        counts = index(address, tmp_path / "work", QUICK, max_fields=max_fields)
        assert counts["kept"] == (max_fields or 4)
    assert server.asked == [path]
    assert (tmp_path / "work" / f"index_source{name}").is_file()


def test_another_address_is_asked_anew_and_a_failure_is_told(server: Atlas, tmp_path: Path) -> None:
    work, host = tmp_path / "work", f"http://127.0.0.1:{server.server_port}"
    server.answers |= {"/a": [body(atlas(*CELLS), "text/xml")], "/b": [body(atlas(CELLS[0]), "text/xml")]}
    server.answers["/c"] = [status(404)]
    assert index(f"{host}/a", work, QUICK)["kept"] == 4
    assert index(f"{host}/b", work, QUICK)["kept"] == 1
    with pytest.raises(UserError, match="/c: HTTP 404"):
        index(f"{host}/c", work, QUICK)
    assert index(f"{host}/b", work, QUICK)["kept"] == 1
    assert server.asked == ["/a", "/b", "/c", "/b"]


def test_an_address_that_is_not_permitted_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"example\.org is not among"):
        index("https://example.org/a.xml", tmp_path / "work")


def test_the_published_search() -> None:
    config = OmegaConf.load(REPOSITORY / "conf" / "index" / "published.yaml")
    address = urlsplit(config.source)
    assert (address.scheme, address.netloc, address.query) == (
        "https",
        "www.proteinatlas.org",
        "format=xml&download=yes",
    )
    assert config.source.isascii()
    assert not set(' <>"{}|') & set(config.source)
    wanted, unwanted = unquote(address.path).split(" NOT ")
    assert wanted == "/search/subcell_location:Cytosol,Nucleoplasm"
    locations = unwanted.removeprefix("subcell_location:").split(",")
    assert len(locations) == len(set(locations)) == 33
    assert {"Actin filaments", "Golgi apparatus", "Rods & Rings", "Vesicles"} < set(locations)


MEASURE = """
import resource, sys
from pathlib import Path
from lexy.acquire.download.politeness import Politeness
from lexy.acquire.hpa.address import HOSTS
from lexy.acquire.hpa.index import IndexAtlas
counts = IndexAtlas(sys.argv[1], Politeness(("proteinatlas.org",))).run(Path(sys.argv[2]), Path())
assert "torch" not in sys.modules
print(counts["kept"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
# A process counts what its parent held when it started: one in between holds little.
BETWEEN = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', *sys.argv[1:]]).returncode)"


def test_memory_does_not_grow_with_the_file_and_torch_is_not_imported(tmp_path: Path) -> None:
    peaks = []
    for megabytes in (1, 8):
        path = tmp_path / f"{megabytes}.xml"
        path.write_bytes(large(megabytes))
        assert abs(path.stat().st_size / 1e6 - megabytes) < 0.2
        work = tmp_path / str(megabytes)
        done = subprocess.run(
            [sys.executable, "-c", BETWEEN, MEASURE, str(path), str(work)],
            capture_output=True, text=True, env=environment(), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        number, peak = done.stdout.splitlines()[-1].split()
        assert int(number) == path.read_bytes().count(b"</entry>")
        peaks.append(int(peak) / 1024)
    assert peaks[1] - peaks[0] < 6
    assert peaks[1] < 150
