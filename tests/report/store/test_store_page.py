import base64
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from store_files import field_of, fill

from lexy.data.splits import SPLITS
from lexy.data.store_writer import StoreWriter
from lexy.errors import UserError
from lexy.files import sha256, write_json
from lexy.report.store.figures import OUTLINE, draw_crops, draw_histograms
from lexy.report.store.page import write_store_page

PICTURES = [*(f"crops_{split}.png" for split in SPLITS), "histograms.png"]
NASTY = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Tags, pictures and the rows of all tables; complains about tags that are not closed in turn."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.pictures: list[str] = []
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.pictures.append(dict(attrs)["src"] or "")
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def rich_store(path: Path) -> Path:
    """Twelve fields of three cell lines, one of them with a name that is markup."""
    with StoreWriter(path) as writer:
        for at in range(12):
            result, name, antibody, _ = field_of(f"f{at}$x_{{$", seed=at)
            writer.add(result, name, antibody, ("U2OS", "", NASTY)[at // 4])
        writer.finish(
            group="antibody",
            settings={"index": {"class": "Folder", "cell_lines": ["a & b", "c"]}, "seed": 0, "limit": None},
            counts={
                "found": 12345,
                "dropped": {"border": 7, NASTY: 2},
                "index": {"kept": 12, "left_out": {"no blue image": 1}},
            },
        )
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return write_store_page(rich_store(folder / "store"), folder / "new" / "report", crops_per_split=3)


def test_the_page_stands_alone(written: Path) -> None:
    page = Page(written)
    assert written.parent.name == "report"
    assert {path.name for path in written.parent.iterdir()} == {*PICTURES, "report.html"}
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    head = "data:image/png;base64,"
    assert [base64.b64decode(source.removeprefix(head)) for source in page.pictures] == [
        (written.parent / name).read_bytes() for name in PICTURES
    ]
    assert "http://" not in written.read_text()
    assert "https://" not in written.read_text()


def test_foreign_text_is_text(written: Path) -> None:
    page = Page(written)
    assert "script" not in page.tags
    assert [NASTY, "2"] in page.rows
    assert ["cell lines", "a & b, c"] in page.rows


def test_counts_and_settings_of_any_depth(written: Path) -> None:
    rows = Page(written).rows
    for row in (["found", "12,345"], ["border", "7"], ["kept", "12"], ["no blue image", "1"], ["index · left out", ""]):
        assert row in rows
    assert ["class", "Folder"] in rows
    assert ["limit", "–"] in rows


def test_splits_and_cell_lines_are_counted(written: Path) -> None:
    table = pd.read_parquet(written.parents[2] / "store" / "manifest.parquet")
    page = Page(written)
    for split, part in table.groupby("split"):
        numbers = [len(part), *(part[name].nunique() for name in ("field", "antibody", "cell_line"))]
        assert [split, *map(str, numbers), f"{round(100 * len(part) / 36, 1):g}"] in page.rows
    for line, part in table.groupby("cell_line"):
        counts = [str((part["split"] == split).sum()) for split in SPLITS]
        assert [line or "(not known)", *counts, "12", "4"] in page.rows
    assert "12 groups" in page.text
    assert "None of them is in more than one split" in page.text


def spread(store: Path) -> None:
    """As if a bug had dealt crops, not groups."""
    manifest, info = store / "manifest.parquet", store / "store.json"
    table = pd.read_parquet(manifest)
    table.assign(split=[SPLITS[at % 3] for at in range(len(table))]).to_parquet(manifest)
    write_json(info, json.loads(info.read_text()) | {"manifest_sha256": sha256(manifest)})


def test_groups_in_more_than_one_split_are_told(tmp_path: Path) -> None:
    spread(rich_store(tmp_path / "store"))
    assert (
        "12 of them are in more than one split"
        in Page(write_store_page(tmp_path / "store", tmp_path / "report", 1)).text
    )


def test_the_seed_decides_which_crops_are_drawn(written: Path, tmp_path: Path) -> None:
    store = written.parents[2] / "store"
    write_store_page(store, tmp_path / "again", crops_per_split=3)
    write_store_page(store, tmp_path / "other", crops_per_split=3, seed=1)
    for file in (*PICTURES, "report.html"):
        assert (tmp_path / "again" / file).read_bytes() == (written.parent / file).read_bytes()
    assert (tmp_path / "other" / PICTURES[0]).read_bytes() != (written.parent / PICTURES[0]).read_bytes()


def test_an_empty_split_and_unknown_contrasts(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store") as writer:
        for at in range(5):
            writer.add(*field_of(f"f{at}"))
        writer.finish(fractions=(0.6, 0.4, 0))
    page = Page(write_store_page(tmp_path / "store", tmp_path / "report", 1))
    assert "There are none." in page.text
    assert len(page.pictures) == 3


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda store: (store / "store.json").unlink(), "not a whole stills store"),
        (lambda store: (store / "manifest.parquet").unlink(), "missing"),
        (lambda store: (store / "manifest.parquet").write_bytes(b"PAR1"), "SHA-256"),
        (lambda store: (store / "crops.zarr" / "images" / "zarr.json").unlink(), "cannot be read"),
    ],
)
def test_damage_is_a_user_error(tmp_path: Path, spoil, message: str) -> None:
    fill(tmp_path / "store")
    spoil(tmp_path / "store")
    with pytest.raises(UserError, match=message):
        write_store_page(tmp_path / "store", tmp_path / "report")


def test_it_does_not_need_torch(tmp_path: Path) -> None:
    fill(tmp_path / "store")
    code = (
        "import sys; from pathlib import Path; from lexy.report.store.page import write_store_page\n"
        f"write_store_page(Path({str(tmp_path / 'store')!r}), Path({str(tmp_path / 'report')!r}), crops_per_split=1)\n"
        "assert 'torch' not in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def orange(pixels: np.ndarray) -> np.ndarray:
    return np.abs(pixels[..., :3] / 255 - to_rgb(OUTLINE)).max(-1) < 0.1


def test_outlines_lie_on_the_border_of_the_mask() -> None:
    masks = np.zeros((7, 32, 32), np.uint8)
    masks[0, 8:24, 8:24] = 1
    masks[1] = 1  # touches the crop's border all round
    figure = draw_crops(np.full((7, 32, 32), 40, np.uint8), masks, [f"crop {at}" for at in range(7)], "$title{")
    axes = figure.axes
    assert [panel.get_title(loc="left") for panel in axes[:7]] == [f"crop {at}" for at in range(7)]
    sizes = np.array([panel.get_position().size for panel in axes[:7]])
    np.testing.assert_allclose(sizes, np.broadcast_to(sizes[0], sizes.shape))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1]
    seen = []
    for panel in axes[:3]:
        left, bottom, right, top = panel.get_window_extent().extents.round().astype(int)
        seen.append(orange(pixels[bottom : top + 1, left : right + 1]))
    rows, columns = np.nonzero(seen[0])
    side = seen[0].shape[0]
    for found in (rows, columns):  # the edge of rows 8 to 23 is a quarter and three quarters of the way
        assert found.min() / side == pytest.approx(0.25, abs=0.03)
        assert found.max() / side == pytest.approx(0.75, abs=0.03)
    assert not seen[0][round(0.4 * side) : round(0.6 * side), round(0.4 * side) : round(0.6 * side)].any()
    assert seen[1][:2].mean() > 0.4
    assert not seen[2].any()


def test_histograms_are_shares_of_the_split_in_shared_bins() -> None:
    table = pd.DataFrame({"split": ["train"] * 4 + ["val"], "area": [0.0, 0.0, 0.0, 30.0, 30.0]})
    table["contrast"] = [0.1, 0.2, np.nan, np.nan, np.nan]
    figure = draw_histograms(table, {"area": "px", "contrast": "1"}, SPLITS)
    heights = [[bar.get_height() for bar in panel.patches] for panel in figure.axes]
    assert [heights[0][0], heights[0][-1], sum(heights[0])] == [75, 25, 100]
    assert heights[2][-1] == 100
    assert [panel.patches[-1].get_x() for panel in figure.axes[:3:2]] == [29, 29]
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert titles[1] == "train: 2 crops, 2 unknown, median 0.15"
    assert titles[4] == "test: 0 crops"
