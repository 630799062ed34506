import base64
import io
import re
import subprocess
import sys
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from video_tables import film, tables

from lexy.report.video import page as video_page
from lexy.report.video.overlay import write_gif
from lexy.report.video.page import SCRIPT, write_video_page
from lexy.report.video.replicates_page import write_replicates_page

NASTY = '"><script>alert(1)</script><img src=x onerror=alert(2)>.tif'
FILES = ["curves.png", "film_strip.png", "half_times.png", "overlay.gif", "overlay.png", "report.html"]


class Page(HTMLParser):
    """Tags with their attributes, scripts, rows of tables; complains about tags that are not closed in turn."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.open, self.rows, self.texts, self.scripts = [], [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in ("img", "meta", "input", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.scripts if self.open and self.open[-1] == "script" else self.texts).append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join(self.texts)

    def values(self, name):
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


def facts(**other):
    return {
        "video": NASTY,
        "warnings": [f"beware {NASTY}"],
        "done": {"checkpoint": NASTY, "versions": {"lexy": "1"}},
    } | other


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "new"
    gif = write_gif(film(), folder / "overlay.gif", width=80)
    nuclei, cells = tables()
    files = {"labels.ome.tif": "masks", NASTY: NASTY, "javascript:alert(1)": "?"}
    return write_video_page(folder / "report.html", film(), nuclei, cells, facts(), overlay=gif, files=files)


def test_the_page_stands_alone(written):
    page = Page(written)
    assert sorted(path.name for path in written.parent.iterdir()) == FILES
    assert not {"link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    assert all(source.startswith("data:image/") for source in page.values("src") + page.values("srcset"))
    assert all(link.startswith("./") and ":" not in link for link in page.values("href"))
    assert not re.search(r"https?:|url\(|@import", written.read_text())


def test_foreign_text_is_text(written):
    page = Page(written)
    assert page.scripts == [SCRIPT]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count(NASTY) >= 5
    assert ["checkpoint", NASTY] in page.rows
    assert "R² < 0.5 & <b>" in [row[-1] for row in page.rows]


def test_only_its_own_script_may_run(written):
    policy = next(attributes["content"] for _, attributes in Page(written).tags if "http-equiv" in attributes)
    own = base64.b64encode(sha256(SCRIPT.encode()).digest()).decode()
    assert f"script-src 'sha256-{own}'" in policy
    assert policy.startswith("default-src 'none'")


def test_pictures_can_be_opened_and_are_those_beside(written):
    sources = [source.split(",")[1] for source in Page(written).values("src")]
    decoded = [base64.b64decode(source) for source in sources]
    order = ["curves.png", "half_times.png", "film_strip.png", "overlay.gif", "overlay.png"]
    assert decoded == [(written.parent / name).read_bytes() for name in order]
    for data in [*decoded, *(base64.b64decode(one.split(",")[1]) for one in Page(written).values("srcset"))]:
        Image.open(io.BytesIO(data)).load()


def test_warnings_stand_before_all_else(written):
    text = Page(written).text
    assert text.index("beware") < text.index("nuclei followed") < text.index("How to read it")


def test_headline_counts_trusted_nuclei_alone(written):
    text = " ".join(Page(written).text.split())
    assert "nuclei followed 4" in text
    assert "trusted 3 of 4" in text
    assert "half-time of export 31 s" in text
    assert "half-time of return 61 s" in text
    assert "mean of 3 trusted nuclei" in text
    assert "fewer than 15 nuclei" in text


def test_every_nucleus_has_a_row(written):
    rows = Page(written).rows
    assert [
        "1",
        "6",
        "yes",
        "1.500",
        "0.500",
        "30 (20 to 45)",
        "0.400",
        "60 (50 to 1,234)",
        "0.900",
        "edge",
        "",
    ] in rows
    assert [row["data-trust"] for tag, row in Page(written).tags if "data-trust" in row] == ["yes", "yes", "yes", "no"]
    assert ["R² < 0.5 & <b>", "1"] in rows
    assert ["edge", "touches the border of the field: a part of it was not measured", "1"] in rows


def test_unknown_values_and_tables_read_back_from_csv(tmp_path):
    nuclei, cells = tables(unit="frame")
    cells = cells.assign(export_half_time=np.nan, r2=np.nan, trust=False)
    for name, table in (("nuclei", nuclei), ("cells", cells)):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    nuclei, cells = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("nuclei", "cells"))
    page = Page(write_video_page(tmp_path / "a.html", film(interval=np.nan), nuclei, cells, facts(warnings=[])))
    assert ["1", "6", "no", "1.500", "0.500", "–", "0.400", "60 (50 to 1,234)", "–", "edge", ""] in page.rows
    assert "Read this first" not in page.text
    assert "nan" not in page.text.lower()


def test_a_video_without_nuclei_has_a_page(tmp_path):
    nuclei, cells = tables()
    page = Page(write_video_page(tmp_path / "a.html", film(), nuclei[:0], cells[:0], facts()))
    assert "There is no nucleus." in page.text
    assert "nan" not in page.text.lower()


def test_a_large_film_is_linked_and_fewer_frames_are_shown(tmp_path, monkeypatch):
    gif = tmp_path / "overlay.gif"
    gif.write_bytes(bytes(9001))
    monkeypatch.setattr(video_page, "encode_webp", lambda _, most: bytes(3000 * most))
    monkeypatch.setattr(video_page, "EMBEDDED", 9000)
    nuclei, cells = tables()
    page = Page(write_video_page(tmp_path / "a.html", film(), nuclei, cells, facts(), overlay=gif))
    assert "./overlay.gif" in page.values("href")
    assert "3 of 6 frames" in page.text
    films = [base64.b64decode(source.split(",")[1]) for source in page.values("src") if "webp" in source]
    assert films == [bytes(9000)]


def test_many_videos_have_a_page(tmp_path):
    rows = [
        (NASTY, "export_half_time", 80.0, 60.0, 90.0, 4, 120),
        ("b", "export_half_time", 50.0, np.nan, np.nan, 1, 9),
    ]
    summary = pd.DataFrame(rows, columns=["condition", "quantity", "mean", "low", "high", "replicates", "cells"])
    page = Page(write_replicates_page(tmp_path / "summary.html", summary, facts(), {"1/report.html": "video 1"}))
    assert [NASTY, "export half time", "80 (60 to 90)", "4", "120"] in page.rows
    assert ["b", "export half time", "50", "1", "9"] in page.rows
    assert "./1/report.html" in page.values("href")
    assert page.scripts == []
    assert (tmp_path / "conditions.png").exists()
    empty = Page(write_replicates_page(tmp_path / "none.html", summary[:0], facts()))
    assert "no nucleus" in empty.text


def test_it_does_not_need_torch():
    code = "import sys, lexy.report.video.replicates_page\nassert not {'torch', 'matplotlib.pyplot'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
