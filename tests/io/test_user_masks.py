import io
import pickle

import numpy as np
import pytest
import tifffile
from memory_video import MemoryVideo
from video_files import complaint

from lexy.io.user_masks import read_user_mask

VIDEO = MemoryVideo(np.zeros((5, 12, 17)))


def labels(first=3, second=9):
    image = np.zeros((12, 17), np.int32)
    image[1:4, 2:5], image[6:9, 8:12] = first, second
    return image


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.float32])
def test_labels_of_a_frame_keep_their_numbers(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", labels().astype(dtype))
    np.save(tmp_path / "a.npy", labels().astype(dtype))
    for path in (tmp_path / "a.tif", str(tmp_path / "a.npy")):
        read = read_user_mask(path, 4, VIDEO)
        assert read.dtype == np.int32
        assert np.array_equal(read, labels())


def test_of_a_stack_the_frame_is_taken(tmp_path):
    stack = np.stack([labels(number, number + 10) for number in range(1, 6)])
    tifffile.imwrite(tmp_path / "a.tif", stack)
    tifffile.imwrite(tmp_path / "b.tif", stack.astype(np.uint16), imagej=True, metadata={"axes": "TYX"})
    np.save(tmp_path / "a.npy", stack)
    for name in ("a.tif", "b.tif", "a.npy"):
        assert np.array_equal(read_user_mask(tmp_path / name, 2, VIDEO), stack[2])


def test_a_binary_mask_becomes_nuclei(tmp_path):
    np.save(tmp_path / "a.npy", labels(255, 255))
    assert np.array_equal(read_user_mask(tmp_path / "a.npy", 0, VIDEO), labels(1, 2))
    np.save(tmp_path / "a.npy", labels(0, 7))  # one nucleus keeps its number
    assert np.array_equal(read_user_mask(tmp_path / "a.npy", 0, VIDEO), labels(0, 7))
    np.save(tmp_path / "a.npy", labels() > 0)
    assert np.array_equal(read_user_mask(tmp_path / "a.npy", 0, VIDEO), labels(1, 2))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((12, 16), np.uint8), "12 × 16"),
        (np.ones((5, 17, 12), np.uint8), "17 × 12"),
        (np.ones((3, 12, 17), np.uint8), "3 masks for 5 frames"),
        (np.zeros((12, 17), np.uint8), "empty mask"),
        (labels() * 0.5, "fractions"),
        (np.full((12, 17), np.nan), "NaN"),
        (-labels(), "from -9 to 0"),
        (labels().astype(np.int64) * 2**40, "they go from 0"),
        (labels().astype(complex), "complex128"),
        (np.ones((2, 5, 12, 17), np.uint8), "(2, 5, 12, 17)"),
    ],
)
def test_wrong_masks(tmp_path, mask, words):
    np.save(tmp_path / "a.npy", mask)
    text = complaint(lambda: read_user_mask(tmp_path / "a.npy", 1, VIDEO))
    assert "a.npy" in text
    assert words in text


def test_wrong_masks_as_tiff(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((12, 16), np.uint8))
    assert "12 × 16" in complaint(lambda: read_user_mask(path, 1, VIDEO))
    tifffile.imwrite(path, np.zeros((12, 17, 3), np.uint8), photometric="rgb")
    assert "RGB" in complaint(lambda: read_user_mask(path, 1, VIDEO))
    path.write_text("text")
    assert "not a TIFF" in complaint(lambda: read_user_mask(path, 1, VIDEO))
    assert "cannot be opened" in complaint(lambda: read_user_mask(tmp_path / "none.tif", 1, VIDEO))


def test_frames_that_the_video_lacks(tmp_path):
    for frame in (-1, 5):
        assert "0 to 4" in complaint(lambda number=frame: read_user_mask(tmp_path / "a.tif", number, VIDEO))


class Touch:
    """A pickle of it writes a file when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_an_array_file_is_run(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Touch(tmp_path / "ran")], object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Touch(tmp_path / "ran")))
    archive = io.BytesIO()
    np.savez(archive, labels())
    (tmp_path / "c.npy").write_bytes(archive.getvalue())
    (tmp_path / "d.npy").write_bytes(b"")
    np.save(tmp_path / "e.npy", labels())
    (tmp_path / "e.npy").write_bytes((tmp_path / "e.npy").read_bytes()[:-8])
    for name in "abcde":
        assert "no array of numbers" in complaint(lambda each=name: read_user_mask(tmp_path / f"{each}.npy", 0, VIDEO))
    assert not (tmp_path / "ran").exists()
    assert "cannot be opened" in complaint(lambda: read_user_mask(tmp_path / "none.npy", 0, VIDEO))
    assert "save it as one of them" in complaint(lambda: read_user_mask(tmp_path / "a.png", 0, VIDEO))


def test_an_array_is_checked_as_a_file_is():
    assert np.array_equal(read_user_mask(labels() > 0, 1, VIDEO), labels(1, 2))
    stack = np.stack([labels(number, number + 10) for number in range(1, 6)])
    assert np.array_equal(read_user_mask(stack, 2, VIDEO), stack[2])
    for values in (-labels(), labels() * 0.9, np.full((12, 17), np.nan), labels()[:8], stack[:3], labels().astype(str)):
        assert "masks[1]" in complaint(lambda each=values: read_user_mask(each, 1, VIDEO))
    assert "masks[5]: given for frame 5" in complaint(lambda: read_user_mask(labels(), 5, VIDEO))


def test_no_number_makes_every_frame_a_burden(tmp_path):
    assert read_user_mask(labels(1, 65535), 0, VIDEO).max() == 65535
    np.save(tmp_path / "a.npy", labels(1, 65536))
    assert "from 0 to 65535" in complaint(lambda: read_user_mask(tmp_path / "a.npy", 0, VIDEO))
