import resource

import numpy as np
import pytest
import tifffile
from memory_video import MemoryVideo
from ome_types import from_tiff
from video_files import complaint

from lexy.io import label_video
from lexy.io.label_video import LabelVideoWriter, write_label_video
from lexy.io.user_masks import read_user_mask
from lexy.io.video import open_video


def video(count=5, shape=(12, 17), pixel_size=float("nan"), interval=float("nan")):
    made = MemoryVideo(np.zeros((count, *shape)), pixel_size)
    made.interval = interval
    return made


def labels(most=300, shape=(5, 12, 17)):
    made = np.random.default_rng(0).integers(0, most + 1, shape, np.int32)
    made[-1, 0, 0] = most
    return made


def write(path, data, source):
    with LabelVideoWriter(path, source) as writer:
        for frame in data:
            writer.write(frame)


@pytest.mark.parametrize(
    ("most", "dtype"), [(300, "uint16"), (65_535, "uint16"), (65_536, "int32"), (2**31 - 1, "int32")]
)
def test_labels_as_they_were_and_metadata_that_others_read(tmp_path, most, dtype):
    path, data = tmp_path / "labels.ome.tif", labels(most)
    write(path, data, video(pixel_size=0.65, interval=270.0))
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        assert (file.series[0].axes, file.series[0].dtype.name) == ("TYX", dtype)
        assert np.array_equal(file.asarray(), data)
        assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert file.pages[0].resolution == pytest.approx((1e4 / 0.65, 1e4 / 0.65))
    pixels = from_tiff(path).images[0].pixels
    assert (pixels.size_t, pixels.size_z, pixels.size_c, pixels.size_y, pixels.size_x) == (5, 1, 1, 12, 17)
    assert (pixels.physical_size_x, pixels.physical_size_x_unit.value) == (0.65, "µm")
    assert (pixels.physical_size_y, pixels.physical_size_y_unit.value) == (0.65, "µm")
    assert (pixels.time_increment, pixels.time_increment_unit.value) == (270, "s")
    assert pixels.type.value == dtype
    assert [item.name for item in tmp_path.iterdir()] == ["labels.ome.tif"]


def test_an_unknown_scale_is_left_out(tmp_path):
    write(tmp_path / "a.ome.tif", labels(), video())
    pixels = from_tiff(tmp_path / "a.ome.tif").images[0].pixels
    assert (pixels.physical_size_x, pixels.physical_size_y, pixels.time_increment) == (None, None, None)


def test_what_is_written_can_be_given(tmp_path):
    data = labels()
    write(tmp_path / "a.ome.tif", data, video(pixel_size=0.5, interval=9.0))
    assert np.array_equal(read_user_mask(tmp_path / "a.ome.tif", 3, video()), data[3])
    with open_video(tmp_path / "a.ome.tif") as read:
        assert (read.n_frames, read.pixel_size, read.interval) == (5, 0.5, 9)


def test_all_frames_at_once_with_the_largest_number_known(tmp_path, monkeypatch):
    data = labels(70_000)
    monkeypatch.setattr(LabelVideoWriter, "_widen", None)  # nothing has to be written again
    write_label_video(tmp_path / "a.ome.tif", iter(data), video(), 70_000)
    assert np.array_equal(tifffile.imread(tmp_path / "a.ome.tif"), data)


def test_large_files_are_big_tiff(tmp_path, monkeypatch):
    write(tmp_path / "a.ome.tif", labels(), video())
    monkeypatch.setattr(label_video, "CLASSIC", 5 * 12 * 17 * 2 - 1)
    write(tmp_path / "b.ome.tif", labels(), video())
    for name, big in (("a", False), ("b", True)):
        with tifffile.TiffFile(tmp_path / f"{name}.ome.tif") as file:
            assert file.is_bigtiff == big
            assert np.array_equal(file.asarray(), labels())


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((12, 16), np.int32),
        np.full((12, 17), -1, np.int32),
        np.zeros((12, 17), np.float32),
        np.full((12, 17), 2**31, np.int64),
    ],
)
def test_wrong_labels_leave_nothing(tmp_path, wrong):
    with pytest.raises(ValueError, match="labels"), LabelVideoWriter(tmp_path / "a.ome.tif", video()) as writer:
        writer.write(wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [0, 4, 6])
def test_every_frame_once_or_nothing(tmp_path, count):
    with pytest.raises(ValueError, match="frames"):
        write(tmp_path / "a.ome.tif", labels(shape=(count or 1, 12, 17))[:count], video())
    assert not list(tmp_path.iterdir())


def test_an_error_between_frames_keeps_what_was_there(tmp_path):
    path = tmp_path / "a.ome.tif"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), LabelVideoWriter(path, video()) as writer:  # noqa: PT012
        writer.write(labels(70_000)[-1])  # written again as int32: two temporary files
        raise KeyboardInterrupt
    assert [item.name for item in tmp_path.iterdir()] == ["a.ome.tif"]
    assert path.read_text() == "before"


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = labels(60_000, (5, 200, 200))

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # two of the five frames
        try:
            write(tmp_path / "a.ome.tif", noise, video(shape=(200, 200)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    text = complaint(fill)
    assert "a.ome.tif: cannot be written" in text
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("x")
    text = complaint(lambda: write(tmp_path / "file" / "a.ome.tif", labels(), video()))
    assert "choose another output folder" in text
