import numpy as np
import pytest
import tifffile
from PIL import Image
from video_files import complaint, frames

from lexy.io.video import open_video


def write(folder, names, data):
    folder.mkdir(exist_ok=True)
    for name, frame in zip(names, data, strict=True):
        tifffile.imwrite(folder / name, frame)


def test_frames_in_the_order_of_their_numbers(tmp_path):
    data, folder = frames(12), tmp_path / "cell 3"
    write(folder, [f"pos2_t{number}.tif" for number in range(1, 13)], data)
    (folder / ".DS_Store").write_bytes(b"x")
    for source in (folder, str(folder), f"{folder}/*.tif"):
        with open_video(source) as video:
            assert (video.name, video.n_frames) == ("cell 3", 12)
            assert all(np.array_equal(video.read(frame), data[frame]) for frame in range(12))


def test_scale_of_the_first_file(tmp_path):
    for number, frame in enumerate(frames()):
        metadata = {"axes": "YX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}
        tifffile.imwrite(tmp_path / f"{number}.ome.tif", frame, metadata=metadata)
    with open_video(tmp_path, interval=10) as video:
        assert (video.pixel_size, video.interval) == (0.25, 10)


@pytest.mark.parametrize(("mode", "dtype"), [("L", np.uint8), ("I;16", np.uint16)])
def test_pictures_are_frames_too(tmp_path, mode, dtype):
    data = frames(dtype=dtype) * (1 if mode == "L" else 300)
    for number, frame in enumerate(data.astype(dtype)):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    with open_video(tmp_path) as video:
        assert all(np.array_equal(video.read(frame), data[frame]) for frame in range(5))


def test_coloured_pictures_need_a_channel(tmp_path):
    data = frames(dtype=np.uint8, shape=(12, 17, 3))
    for number, frame in enumerate(data):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    assert "RGB" in complaint(lambda: open_video(tmp_path))
    with open_video(tmp_path, channel=2) as video:
        assert np.array_equal(video.read(3), data[3, :, :, 2])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["t1.tif", "t2.tif", "t4.tif"], ["frame 3 is missing", "t2.tif"]),
        (["t1.tif", "t01.tif", "t2.tif"], ["frame 1 is there twice", "t01.tif", "t1.tif"]),
        (["t1.tif", "t2.tif", "mean.tif"], ["mean.tif", "named otherwise"]),
        (["t1.tif", "t2.tif", "t3.png.tif"], ["t3.png.tif"]),
        (["t1_c1.tif", "t1_c2.tif", "t2_c1.tif"], ["2 numbers differ", "t2_c1.tif"]),
    ],
)
def test_names_that_are_no_sequence(tmp_path, names, words):
    write(tmp_path, names, frames(len(names)))
    text = complaint(lambda: open_video(tmp_path))
    assert str(tmp_path) in text
    assert all(word in text for word in words)


def test_what_is_no_frame_in_a_folder_is_named(tmp_path):
    write(tmp_path, ["t1.tif", "t2.tif"], frames(2))
    (tmp_path / "notes.txt").write_text("x")
    assert "notes.txt" in complaint(lambda: open_video(tmp_path))
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "old").mkdir()
    assert "old" in complaint(lambda: open_video(tmp_path))
    with open_video(f"{tmp_path}/*.tif") as video:
        assert video.n_frames == 2


def test_a_frame_of_another_size_or_type_is_named(tmp_path):
    write(tmp_path, ["1.tif", "2.tif", "3.tif"], [*frames(2), frames(shape=(9, 17))[0]])
    with open_video(tmp_path) as video:
        video.read(1)
        text = complaint(lambda: video.read(2))
        assert "3.tif" in text
        assert "9 × 17" in text
    tifffile.imwrite(tmp_path / "3.tif", frames(dtype=np.uint8)[0])
    with open_video(tmp_path) as video:
        assert "uint8" in complaint(lambda: video.read(2))


def test_a_damaged_frame_is_named(tmp_path):
    write(tmp_path, ["1.tif", "2.tif", "3.tif"], frames(3))
    (tmp_path / "2.tif").write_bytes((tmp_path / "2.tif").read_bytes()[:-50])
    with open_video(tmp_path) as video:
        assert "2.tif" in complaint(lambda: video.read(1))
    (tmp_path / "2.tif").write_text("not an image")
    with open_video(tmp_path) as video:
        assert "2.tif: not a TIFF" in complaint(lambda: video.read(1))


def test_folders_without_a_video(tmp_path):
    assert "zero frames" in complaint(lambda: open_video(tmp_path))
    tifffile.imwrite(tmp_path / "1.tif", frames()[0])
    assert "1.tif: one frame" in complaint(lambda: open_video(tmp_path))
    tifffile.imwrite(tmp_path / "1.tif", frames())
    assert "give this file itself" in complaint(lambda: open_video(tmp_path))


def test_patterns(tmp_path):
    assert "no file fits" in complaint(lambda: open_video(f"{tmp_path}/*.tif"))
    tifffile.imwrite(tmp_path / "a.tif", frames())
    with open_video(f"{tmp_path}/*.tif") as video:  # one file: a stack
        assert (video.name, video.n_frames) == ("a", 5)
    (tmp_path / "a.txt").write_text("x")
    assert "a.txt" in complaint(lambda: open_video(f"{tmp_path}/a.*"))
    for number in range(3):
        write(tmp_path / f"t{number}", ["image.tif"], frames()[number : number + 1])
    with open_video(f"{tmp_path}/t*/image.tif") as video:  # the number may be the folder's
        assert np.array_equal(video.read(2), frames()[2])


def test_a_name_with_brackets_is_a_name(tmp_path):
    tifffile.imwrite(tmp_path / "cell [1]=a, (b).tif", frames())
    with open_video(str(tmp_path / "cell [1]=a, (b).tif")) as video:
        assert video.n_frames == 5


def test_a_text_that_calls_itself_a_picture(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.png").write_text("text")
    assert "0.png: not an image" in complaint(lambda: open_video(tmp_path))
