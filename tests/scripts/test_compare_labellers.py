import csv
import runpy
import sys

import numpy as np
import pytest
from cli_runs import REPOSITORY
from PIL import Image
from test_scripts import script

from lexy.data.phantom import phantom_field


def write(folder, count=2):
    folder.mkdir()
    for at in range(count):
        field = phantom_field(3, at, size=128)
        Image.fromarray(field.nuclear).save(folder / f"phantom{at}_image.png")
        Image.fromarray(field.labels.astype(np.uint8)).save(folder / f"phantom{at}_labels.png")
    return folder


def test_labellers_are_compared_on_the_same_images(tmp_path):
    images, output = write(tmp_path / "images"), tmp_path / "out"
    strict = "classical,min_share=1,diameter=60"
    labellers = [f"stored,folder={images}", "classical", strict]
    done = script("compare_labellers.py", images, *[f"--labeller={text}" for text in labellers], "--output", output)
    assert done.returncode == 0, done.stderr
    with (output / "scores.csv").open(newline="") as file:
        rows = {(row["labeller"], row["image"]): row for row in csv.DictReader(file)}
    assert [name for name, image in rows if image == "mean"] == labellers
    assert all(float(rows[labellers[0], "mean"][score]) == 1 for score in ("f1_50", "f1_75", "dice", "recall_75"))
    assert 0.8 < float(rows["classical", "mean"]["f1_50"]) <= 1
    assert float(rows[strict, "mean"]["recall_50"]) < 0.5
    for score in ("f1_50", "dice"):
        single = [float(rows["classical", f"phantom{at}"][score]) for at in range(2)]
        assert float(rows["classical", "mean"][score]) == pytest.approx(np.mean(single))
    for picture in ("worst_1_stored.png", "worst_2_classical.png", "worst_3_classical.png"):
        assert np.asarray(Image.open(output / picture)).std() > 0


@pytest.mark.parametrize(
    ("labeller", "broken", "expected"),
    [
        ("classicl", None, ["--labeller classicl", "classical", "stored"]),
        ("classical,diametre=3", None, ["diametre"]),
        ("classical,diameter=-3", None, ["labeller.diameter=-3", "greater than 0"]),
        ("stored,folder=gone", None, ["labeller.folder=gone: no such folder"]),
        ("classical", "phantom1_labels.png", ["phantom1_image.png: no label image phantom1_labels.png"]),
        ("classical", "*", ["no NAME_image.EXT there"]),
    ],
)
def test_mistakes(tmp_path, labeller, broken, expected, monkeypatch, capsys):
    images = write(tmp_path / "images")
    for path in images.glob(broken or "none"):
        path.unlink()
    arguments = ["compare_labellers.py", str(images), f"--labeller={labeller}"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(REPOSITORY / "scripts" / arguments[0]), run_name="__main__")
    message = capsys.readouterr().err
    assert ended.value.code == 1
    assert message.startswith("error: ")
    assert message.count("\n") < 4
    for part in expected:
        assert part in message
