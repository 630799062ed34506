import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from lexy.acquire.labellers import Labeller
from lexy.acquire.labellers.stored import Stored
from lexy.errors import UserError

FIELD = "50000/1_A1_1"
STAIN = np.zeros((6, 8), np.uint8)
LABELS = np.zeros((6, 8), np.uint8)
LABELS[1:3, 1:3] = 3
LABELS[3:5, 5:8] = 7
NUMBERED = np.where(LABELS == 7, 2, np.where(LABELS == 3, 1, 0))


def read(folder: Path, field: str = FIELD) -> np.ndarray | str:
    (result,) = Stored(str(folder)).label([STAIN], [field])
    return result


def save(folder: Path, name: str, labels: np.ndarray) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(labels).save(path)
    else:
        tifffile.imwrite(path, labels)
    return path


TIFF = [(end, kind) for end in ("_labels.tif", ".tif", ".tiff") for kind in ("uint8", "int16", "int32", "uint32")]
PNG = [(end, kind) for end in ("_labels.png", ".png") for kind in ("uint8", "uint16")]


@pytest.mark.parametrize(("ending", "kind"), TIFF + PNG)
def test_every_name_and_type(tmp_path: Path, ending: str, kind: str) -> None:
    save(tmp_path, FIELD + ending, LABELS.astype(kind))
    assert isinstance(Stored(str(tmp_path)), Labeller)
    labels = read(tmp_path)
    assert isinstance(labels, np.ndarray)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, NUMBERED)


@given(arrays(np.int32, (6, 8), elements=st.sampled_from([0, 0, 1, 5, 1000, 2**31 - 1])))
def test_numbers_do_not_matter_and_touching_nuclei_stay_apart(
    tmp_path_factory: pytest.TempPathFactory, stored: np.ndarray
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    save(folder, f"{FIELD}.tif", stored)
    labels = read(folder)
    values = np.unique(stored[stored > 0])
    if isinstance(labels, str):
        assert len(values) == 1
        assert "a mask, not instances" in labels
        return
    for number, value in enumerate(values, start=1):
        np.testing.assert_array_equal(labels == number, stored == value)
    assert labels.max() == len(values)


def write_nothing(folder: Path) -> None:
    pass


def write_two(folder: Path) -> None:
    save(folder, f"{FIELD}_labels.png", LABELS)
    save(folder, f"{FIELD}.tif", LABELS)


def write_half(folder: Path) -> None:
    path = save(folder, f"{FIELD}.tif", LABELS.astype(np.uint16))
    path.write_bytes(path.read_bytes()[:-20])


def writes(labels: np.ndarray, suffix: str = ".tif") -> Callable[[Path], None]:
    return lambda folder: void(save(folder, FIELD + suffix, labels))


def void(_: object) -> None:
    pass


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (write_nothing, r"no label image 50000/1_A1_1_labels\.png"),
        (write_two, r"more than one label image: 1_A1_1_labels\.png, 1_A1_1\.tif"),
        (write_half, "cut short"),
        (lambda folder: void(save(folder, FIELD + ".png", LABELS).write_bytes(b"rubbish")), "not an image"),
        (writes(LABELS.astype(np.float32)), "not 8-, 16- or 32-bit integers"),
        (writes(LABELS.astype(np.int64)), "not 8-, 16- or 32-bit integers"),
        (writes(LABELS[:5]), "5 × 8 and 6 × 8 px"),
        (writes(LABELS.astype(np.int16) - 1), "values from -1 to 6"),
        (writes(np.full((6, 8), 2**32 - 1, np.uint32)), "values from 4294967295"),
        (writes(np.stack([LABELS] * 3, -1), ".png"), "a colour image"),
        (writes(255 * (LABELS > 0).astype(np.uint8), ".png"), "2 separate pieces: a mask"),
    ],
)
def test_a_bad_label_image_is_told_and_does_not_stop_the_others(
    tmp_path: Path, write: Callable[[Path], None], reason: str
) -> None:
    write(tmp_path)
    save(tmp_path, "50000/1_A1_2.png", LABELS)
    first, second = Stored(str(tmp_path)).label([STAIN, STAIN], [FIELD, "50000/1_A1_2"])
    assert isinstance(first, str)
    assert re.search(reason, first)
    np.testing.assert_array_equal(second, NUMBERED)


@pytest.mark.parametrize("field", ["../out", "/etc/out", "50000/../../out"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, field: str) -> None:
    save(tmp_path, "out.png", LABELS)
    (tmp_path / "labels" / "50000").mkdir(parents=True)
    assert read(tmp_path / "labels", field) == f"no field's name: {field}"


def test_no_nuclei_are_a_valid_answer(tmp_path: Path) -> None:
    save(tmp_path, f"{FIELD}.png", STAIN)
    np.testing.assert_array_equal(read(tmp_path), np.zeros((6, 8)))


@pytest.mark.parametrize("change", ["content", "time", "new", "gone"])
def test_settings_change_with_the_files(tmp_path: Path, change: str) -> None:
    first = save(tmp_path, f"{FIELD}.png", LABELS)
    save(tmp_path, "50000/1_A1_2.tif", LABELS)
    before = Stored(str(tmp_path)).settings()
    assert before["class"] == "lexy.acquire.labellers.stored.Stored"
    (tmp_path / "notes.txt").write_text("not a label image")
    assert Stored(str(tmp_path)).settings() == before
    if change == "content":
        save(tmp_path, f"{FIELD}.png", np.random.default_rng(0).integers(0, 9, (6, 8), np.uint8))
    elif change == "time":
        os.utime(first, (1, 1))
    elif change == "new":
        save(tmp_path, "50001/1_A1_1.tiff", LABELS)
    else:
        first.unlink()
    assert Stored(str(tmp_path)).settings() != before


def test_no_folder(tmp_path: Path) -> None:
    labeller = Stored(str(tmp_path / "gone"))
    for ask in (labeller.settings, lambda: labeller.label([STAIN], [FIELD])):
        with pytest.raises(UserError, match=r"labeller\.folder=.*gone: no such folder"):
            ask()


def test_neither_torch_nor_pandas_is_imported() -> None:
    code = (
        "import sys, lexy.acquire.labellers.stored, lexy.acquire.labellers.classical\n"
        "lexy.acquire.labellers.classical.Classical().settings()\n"
        "assert not {'torch', 'pandas', 'cellpose'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
