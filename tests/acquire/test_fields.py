from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from lexy.acquire import fields
from lexy.acquire.fields import BadImage, find_fields, read_channel

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (32, 32)).astype(np.uint8)
DEEP = RNG.integers(0, 65535, (32, 32)).astype(np.uint16)


def save(path: Path, image: np.ndarray = GREY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.startswith(".tif"):
        tifffile.imwrite(path, image)
    else:
        Image.fromarray(image).save(path)
    return path


def test_fields_are_found_in_all_folders_whatever_the_extension(tmp_path: Path) -> None:
    for name in (
        "50001/1_A1_1_blue.jpg", "50001/1_A1_1_green.JPEG", "50002/deep/x_blue.TIF", "50002/deep/x_green.png",
        "top_blue.png", "top_green.png", "50001/1_A1_1_red.jpg", "50001/1_A1_1_blue_red_green.jpg", "notes.txt",
        "50001/._1_A1_1_blue.jpg",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, problems = find_fields(tmp_path)
    assert problems == []
    assert [(field.name, field.antibody) for field in found] == [
        ("50001/1_A1_1", "50001"), ("50002/deep/x", "deep"), ("top", "")
    ]  # fmt: skip
    assert (found[0].blue.name, found[0].green.name) == ("1_A1_1_blue.jpg", "1_A1_1_green.JPEG")


def test_single_channels_and_doubles_are_problems(tmp_path: Path) -> None:
    for name in ("a_blue.png", "b_green.png", "c_blue.png", "c_blue.tif", "c_green.png"):
        (tmp_path / name).touch()
    found, problems = find_fields(tmp_path)
    assert found == []
    assert [problem.file for problem in problems] == ["a_blue.png", "b_green.png", "c_blue.tif"]
    assert "no green" in problems[0].reason
    assert "no blue" in problems[1].reason
    assert "second image" in problems[2].reason


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a.png", GREY),
        ("a.tif", GREY),
        ("a.tif", DEEP),
        ("a.png", DEEP),
        ("a.tif", DEEP[None]),
        ("a.tiff", DEEP.astype(">u2")),
    ],
)
def test_grey_images_are_read_as_they_are(tmp_path: Path, name: str, image: np.ndarray) -> None:
    read = read_channel(save(tmp_path / name, image), 1)
    assert read.dtype == image.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, image.squeeze())


def test_compressed_tiff(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DEEP, compression="lzw")
    np.testing.assert_array_equal(read_channel(tmp_path / "a.tif", 1), DEEP)


@pytest.mark.parametrize("component", [1, 2])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colour_images_give_their_own_component(tmp_path: Path, component: int, suffix: str) -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., component] = GREY
    np.testing.assert_array_equal(read_channel(save(tmp_path / f"a{suffix}", image), component), GREY)


def test_planar_colour_tiff(tmp_path: Path) -> None:
    image = np.stack([0 * DEEP, DEEP, 0 * DEEP])
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_channel(tmp_path / "a.tif", 1), DEEP)


@pytest.mark.parametrize("component", [1, 2])
def test_colour_jpeg(tmp_path: Path, component: int) -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., component] = ramp
    Image.fromarray(image).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    read = read_channel(tmp_path / "a.jpg", component)
    assert np.abs(read.astype(int) - ramp).mean() < 4
    Image.fromarray(np.stack([ramp] * 3, -1)).save(tmp_path / "grey.jpg", quality=95)
    assert np.abs(read_channel(tmp_path / "grey.jpg", component).astype(int) - ramp).mean() < 4


def truncate(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_truncated_files(tmp_path: Path, name: str) -> None:
    image = RNG.integers(0, 255, (200, 200)).astype(np.uint8)
    with pytest.raises(BadImage, match="truncated"):
        read_channel(truncate(save(tmp_path / name, image)), 1)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_files_whose_end_is_all_zeros(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, RNG.integers(0, 255, (200, 200)).astype(np.uint8))
    whole = path.read_bytes()
    read_channel(path, 1)
    path.write_bytes(whole[: len(whole) * 2 // 3].ljust(len(whole), b"\0"))
    if name == "a.tif":  # pixels of a plain TIFF may be zeros
        assert not read_channel(path, 1)[150:].any()
    else:
        with pytest.raises(BadImage, match=r"truncated|broken"):
            read_channel(path, 1)


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg")
    image = read_channel(path, 1)
    path.write_bytes(path.read_bytes() + b"\n\0 made by a microscope")
    np.testing.assert_array_equal(read_channel(path, 1), image)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_empty_files_and_rubbish(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(BadImage, match="empty file"):
        read_channel(tmp_path / name, 1)
    (tmp_path / name).write_bytes(b"<html>404 Not Found</html>")
    with pytest.raises(BadImage, match="unreadable") as caught:
        read_channel(tmp_path / name, 1)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.full((32, 32), 9, np.uint8), "constant"),
        (DEEP.astype(np.float32), "float32"),
        (DEEP.astype(np.uint32), "uint32"),
        (DEEP.astype(np.int16), "int16"),
        (np.stack([DEEP] * 5), "single plane"),
    ],
)
def test_images_of_the_wrong_kind(tmp_path: Path, image: np.ndarray, reason: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack")
    with pytest.raises(BadImage, match=reason):
        read_channel(tmp_path / "a.tif", 1)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch, name: str) -> None:
    save(tmp_path / name)
    monkeypatch.setattr(fields, "MAX_PIXELS", 1000)
    with pytest.raises(BadImage, match="too many pixels"):
        read_channel(tmp_path / name, 1)


def test_a_decompression_bomb(tmp_path: Path, monkeypatch) -> None:
    save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadImage, match="decompression bomb"):
        read_channel(tmp_path / "a.png", 1)
