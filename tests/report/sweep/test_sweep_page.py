import base64
import io
import re
from html.parser import HTMLParser

import browser as chromium
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console
from sweep_files import settings, write_run

from lexy.cli.report import main
from lexy.errors import UserError
from lexy.report.sortable import SCRIPT, Cell, Line, number, sortable
from lexy.report.sweep.run_folders import find_runs
from lexy.report.sweep.tables import tex
from lexy.report.sweep.watch import view, watch

NASTY = "<script>alert(1)</script>|& $x_1$"
DICE = {"UNet · DiceLoss": 0.8, "UNet · CombinedLoss": 0.7, "TrackNet · DiceLoss": 0.9}


def sweep(folder):
    rng = np.random.default_rng(0)
    for at, (name, mean) in enumerate(DICE.items()):
        model, loss = name.removesuffix("Loss").lower().split(" · ")
        for seed in range(2):
            dice = mean + rng.uniform(-0.05, 0.05, (6, 8))
            config = settings(model=model, loss=loss, seed=seed)
            start = "none" if model == "unet" else "truth"
            name = f"{model}-{loss}-{at}{seed:07}"
            write_run(folder / name, dice, config, start=start, baseline=np.full((6, 8), 0.4), panels=at == 0)
    write_run(folder / "x-00000009", [[0.5]], status={"state": "failed", "reason": f"ValueError: {NASTY}", "epochs": 2})
    write_run(folder / "y-00000009", [[0.5]], status={"state": "running"})
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = sweep(tmp_path_factory.mktemp("reports") / "sweep")
    main([str(folder), "--reference", "UNet · DiceLoss"])
    return folder / "report"


class Page(HTMLParser):
    """Rows of tables, attributes, scripts."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.attributes, self.scripts, self.inside = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        self.inside = tag
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "small":
            self.rows[-1][-1] += " "

    def handle_data(self, data):
        if self.inside == "script" and data.strip():
            self.scripts.append(data)
        elif self.inside in ("td", "th", "small") and self.rows:
            self.rows[-1][-1] += data


def test_files_of_a_report(report):
    names = ["comparison.csv", "comparison.md", "comparison.tex", "differences.csv", "page.html"]
    assert sorted(path.name for path in report.iterdir()) == names
    table = pd.read_csv(report / "comparison.csv")
    dice = table[table["metric"] == "dice"].set_index("row")["mean"]
    assert dice.drop("copied first mask").round(1).to_dict() == DICE
    assert set(table["groups"]) == {6}
    assert {"hd95", "nc_error", "surface_dice", "dice_worst_frame"} <= set(table["metric"])
    differences = pd.read_csv(report / "differences.csv")
    assert set(differences["reference"]) == {"UNet · DiceLoss"}
    assert (differences[differences["metric"] == "dice"]["comparisons"] == 3).all()
    assert re.search(
        r"\| TrackNet · DiceLoss \| 0\.90\d \(0\.\d+–0\.\d+, n=6\)", (report / "comparison.md").read_text()
    )
    body = re.findall(r"^(.*) \\\\$", (report / "comparison.tex").read_text(), re.M)
    assert len({row.count(" & ") for row in body}) == 1
    assert body[1].startswith(r"TrackNet \ensuremath{\cdot} DiceLoss & 0.9")


def test_the_page_stands_alone(report):
    text = (report / "page.html").read_text()
    page = Page(text)
    sources = [value for key, value in page.attributes if key in ("src", "srcset")]
    assert len(sources) >= 5
    assert all(value.startswith("data:image/webp;base64,") for value in sources)
    for value in sources:
        Image.open(io.BytesIO(base64.b64decode(value.split(",")[1]))).load()
    assert page.scripts == [SCRIPT]
    assert not re.search(r"https?:|url\(|@import", text)
    assert not any(key.startswith("on") for key, _ in page.attributes)
    assert "&lt;script&gt;alert(1)" in text
    assert "In every row: backbone Vanilla, optimizer Adam." in text


def test_rows_and_jobs_of_the_page(report):
    rows = Page((report / "page.html").read_text()).rows
    found = next(row for row in rows if row[0].startswith("UNet · DiceLoss 2 seeds, 2 runs"))
    assert re.fullmatch(r"0\.80\d 0\.\d+–0\.\d+, n=6", found[1])
    cost = next(row for row in rows if row[:2] == ["UNet · DiceLoss", "2"])
    assert cost[2:] == ["12", "10", "346", "1,234", "5"]
    failed = next(row for row in rows if row[0] == "sweep/x-00000009")
    assert failed[1:5] == ["failed", f"ValueError: {NASTY}", "1", "2"]
    assert next(row for row in rows if row[0] == "sweep/y-00000009")[1] == "killed"
    published = [row for row in rows if len(row) == 8 and row[1] in ("here", "study")]
    assert len(published) == 6
    assert ["UNet · DiceLoss published: unet vanilla dice", "study", "0.910 ± 0.051"] in [row[:3] for row in published]
    assert all(row[7].startswith("≠ ") for row in published if row[1] == "here")


def test_foreign_files_are_kept(tmp_path):
    folder = sweep(tmp_path / "s")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "comparison.csv").write_text("mine")
    with pytest.raises(SystemExit, match="was not written by lexy-report: give another --output"):
        main([str(folder), "--output", str(tmp_path / "out")])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["comparison.csv"]


def test_a_sweep_without_a_result_has_a_page_and_is_replaced(tmp_path, capsys):
    run = write_run(tmp_path / "s" / "a-00000000", [[0.5]] * 3, status={"state": "failed", "reason": "no luck"})
    main([str(tmp_path / "s")])
    assert "no run is done" in (tmp_path / "s" / "report" / "page.html").read_text()
    assert "1 jobs without a result" in capsys.readouterr().out
    (run / "status.json").write_text('{"state": "done"}')
    main([str(tmp_path / "s")])
    assert "no luck" not in (tmp_path / "s" / "report" / "page.html").read_text()


def test_stills_have_no_curves_over_time(tmp_path):
    write_run(tmp_path / "a-00000000", [[0.5]] * 5, data="hpa")
    main([str(tmp_path)])
    text = (tmp_path / "report" / "comparison.csv").read_text()
    assert "dice_worst_frame" not in text
    assert ",dice," in text


def test_latex_is_escaped():
    assert tex(r"a_b & 50 % \ {x} µm ~ ^ #1 $") == (
        r"a\_b \& 50 \% \textbackslash{} \{x\} \ensuremath{\mu}m \textasciitilde{} \textasciicircum{} \#1 \$"
    )


def test_unknown_numbers_are_sorted_apart():
    text = sortable(
        ["row", "x"], [Line([Cell(NASTY), number(np.nan, "nan")]), Line([Cell("b"), number(2.0, "2", "n=3")])], "rows"
    )
    assert '<td class="number" data-value="">–</td>' in text
    assert '<td class="number" data-value="2.0">2<small>n=3</small></td>' in text
    assert "<script>" not in text


def test_watching_tells_progress_best_and_failures(tmp_path):
    sweep(tmp_path)
    console = Console(width=140, record=True)
    console.print(view(find_runs([tmp_path])))
    text = console.export_text()
    assert "8 runs: 6 done, 1 failed, 1 killed" in text
    assert "best validation Dice so far: 0.9" in text
    assert f"ValueError: {NASTY}" in text
    assert "it was killed" in text


def test_watching_a_run_that_is_going_shows_its_epochs(tmp_path, monkeypatch):
    status = {"state": "running", "best_val_dice": None, "max_epochs": None}
    folder = write_run(tmp_path / "a-00000000", [[0.5]], settings(trainer={"max_epochs": 20}), status)
    monkeypatch.setattr("lexy.report.sweep.run_folders.in_use", lambda _: True)
    console = Console(width=140, record=True)
    console.print(view(find_runs([tmp_path])))
    assert re.search(r"a-00000000 +5 of 20 .* 0\.900", console.export_text())
    (folder / "metrics.csv").write_text("epoch,val/dice\n0,0.2")  # the newest row is just being written
    monkeypatch.setattr(
        "lexy.report.sweep.watch.time.sleep", lambda _: (folder / "status.json").write_text('{"state": "done"}')
    )
    watch([tmp_path], Console(file=io.StringIO()), rest=-1)
    with pytest.raises(UserError, match="no such folder"):
        watch([tmp_path / "no"])


@pytest.mark.skipif(chromium.PATH is None, reason="no Chromium is installed: the page was not tried in a browser")
def test_sorting_filtering_and_pictures_in_a_browser(report, tmp_path):
    names = "[...document.querySelectorAll('table')].find(t => t.rows[0].cells[1].textContent === 'Dice')"
    shown = f"[...{names}.tBodies[0].rows].filter(r => r.offsetParent).map(r => r.cells[0].firstChild.data)"
    with chromium.browser(tmp_path) as page:
        for width in (400, 1200):
            page.call(
                "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
            )
            for theme in ("light", "dark"):
                page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
                page.open(report / "page.html")
                assert page.run("document.documentElement.scrollWidth") == width  # nothing sticks out
                assert min(page.run("[...document.images].map(i => i.complete && i.naturalWidth)")) > 0
        by_dice = sorted(DICE, key=DICE.get)
        page.run(f"{names}.tHead.rows[0].cells[1].querySelector('button').click()")
        assert page.run(shown) == ["copied first mask", *by_dice]
        assert page.run(f"{names}.tHead.rows[0].cells[1].getAttribute('aria-sort')") == "ascending"
        page.run(f"{names}.tHead.rows[0].cells[1].querySelector('button').focus()")
        for kind in ("keyDown", "keyUp"):
            page.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
            )
        assert page.run(shown) == [*by_dice[::-1], "copied first mask"]
        assert page.run(f"{names}.querySelectorAll('[aria-sort]').length") == 1
        page.run(f"{names}.closest('.filtered').querySelector('input').focus()")
        page.call("Input.insertText", text="unet loss")
        assert page.run(shown) == ["UNet · DiceLoss", "UNet · CombinedLoss"]
        assert page.run(f"{names}.closest('.filtered').querySelector('output').value") == "2 of 4 rows"
        assert page.complaints == []
