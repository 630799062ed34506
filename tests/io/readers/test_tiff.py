import re

import numpy as np
import pytest
import tifffile
from video_files import complaint, frames

from lexy.io.readers.tiff_metadata import channel_names
from lexy.io.video import open_video

KINDS = {
    "ome": {"ome": True, "metadata": {"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm",
                                      "TimeIncrement": 30.0, "TimeIncrementUnit": "s"}},
    "ome_deflated": {"ome": True, "metadata": {"axes": "TYX"}, "compression": "zlib"},
    "imagej": {"imagej": True, "metadata": {"axes": "TYX"}},
    "tiled": {"tile": (16, 16), "compression": "zlib"},
    "plain": {"metadata": None},
    "plain_deflated": {"metadata": None, "compression": "zlib", "rowsperstrip": 5},
    "big": {"bigtiff": True, "metadata": None},
    "big_endian": {"byteorder": ">"},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_every_frame_of_a_stack_as_it_was_written(tmp_path, kind, dtype):
    path, data = tmp_path / "a.tif", frames(dtype=dtype)
    tifffile.imwrite(path, data, **KINDS[kind])
    with open_video(path) as video:
        assert (video.name, video.n_frames, video.shape) == ("a", 5, (12, 17))
        for frame in (3, 0, 4, 2, 1):  # in any order
            read = video.read(frame)
            assert read.dtype == np.float32
            assert np.array_equal(read, data[frame])
        with pytest.raises(IndexError):
            video.read(5)


def test_scale_of_the_file_and_of_the_user(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", frames(), **KINDS["ome"])
    with open_video(tmp_path / "a.tif") as video:
        assert (video.pixel_size, video.interval) == (0.5, 30)
    with open_video(tmp_path / "a.tif", pixel_size=0.2, interval=5) as video:
        assert (video.pixel_size, video.interval) == (0.2, 5)
    with open_video(frames()) as video:
        assert np.isnan([video.pixel_size, video.interval]).all()
    for wrong in (0, -1, float("nan"), float("inf")):
        assert "--pixel-size" in complaint(lambda value=wrong: open_video(frames(), pixel_size=value))
        assert "--interval" in complaint(lambda value=wrong: open_video(frames(), interval=value))


@pytest.mark.parametrize("form", ["ome", "imagej"])
def test_the_channel_is_asked_for_and_taken(tmp_path, form):
    path, data = tmp_path / "a.tif", frames(shape=(1, 2, 12, 17))
    metadata = {"axes": "TZCYX"} | ({"Channel": {"Name": ["DAPI", "LEXY"]}} if form == "ome" else {})
    tifffile.imwrite(path, data, metadata=metadata, **{form: True})
    text = complaint(lambda: open_video(path))
    assert "--channel" in text
    assert "2 channels" in text
    assert ("0 = DAPI, 1 = LEXY" in text) == (form == "ome")
    for channel in (0, 1):
        with open_video(path, channel=channel) as video:
            assert all(np.array_equal(video.read(frame), data[frame, 0, channel]) for frame in range(5))
    assert "no channel 2" in complaint(lambda: open_video(path, channel=2))
    assert "no channel -1" in complaint(lambda: open_video(path, channel=-1))


def test_imagej_names_its_channels_by_the_labels_of_its_planes(tmp_path):
    path = tmp_path / "a.tif"
    metadata = {"axes": "TCYX", "Labels": ["red", "green"] * 5}
    tifffile.imwrite(path, frames(shape=(2, 12, 17)), imagej=True, metadata=metadata)
    assert "0 = red, 1 = green" in complaint(lambda: open_video(path))


def test_colour_is_asked_for_and_taken(tmp_path):
    path, data = tmp_path / "a.tif", frames(dtype=np.uint8, shape=(12, 17, 3))
    tifffile.imwrite(path, data, photometric="rgb")
    text = complaint(lambda: open_video(path))
    assert "RGB" in text
    assert "1 = green" in text
    with open_video(path, channel=1) as video:
        assert np.array_equal(video.read(2), data[2, :, :, 1])


def test_depth_is_refused_with_what_to_do(tmp_path):
    tifffile.imwrite(tmp_path / "z.tif", frames(), imagej=True, metadata={"axes": "ZYX"})
    assert "Frames 5" in complaint(lambda: open_video(tmp_path / "z.tif"))
    tifffile.imwrite(tmp_path / "tz.tif", frames(shape=(3, 12, 17)), imagej=True, metadata={"axes": "TZYX"})
    assert "Z Project" in complaint(lambda: open_video(tmp_path / "tz.tif"))


def test_axes_without_names_are_not_guessed(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", frames(shape=(6, 12, 17)))
    assert "not clear which of them is time" in complaint(lambda: open_video(tmp_path / "a.tif"))


def test_images_of_different_size_in_one_file_are_no_video(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(frames(), metadata=None)
        file.write(frames(shape=(8, 8)), metadata=None)
    text = complaint(lambda: open_video(tmp_path / "a.tif"))
    assert "a.tif" in text
    assert "2 images" in text


def test_an_imagej_stack_behind_a_single_page(tmp_path):
    """As ImageJ writes stacks > 4 GB: one page, the planes one after the other."""
    path, data = tmp_path / "a.tif", frames()
    with tifffile.TiffWriter(path, byteorder=">") as file:
        description = f"ImageJ=1.54f\nimages={len(data)}\nframes={len(data)}\nhyperstack=true\n"
        file.write(data[0], description=description, metadata=None)
    with path.open("ab") as file:
        file.write(data[1:].astype(">u2").tobytes())
    with open_video(path) as video:
        assert video.n_frames == 5
        assert all(np.array_equal(video.read(frame), data[frame]) for frame in range(5))
    path.write_bytes(path.read_bytes()[:-100])
    assert "cut short" in complaint(lambda: open_video(path))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.97])
def test_a_file_cut_short_is_never_taken_for_a_shorter_video(tmp_path, kind, share):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, frames(8, shape=(64, 64)), **KINDS[kind])
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    text = complaint(lambda: open_video(path))
    assert str(path) in text
    assert "cut short" in text


def test_pixels_that_cannot_be_decoded_name_their_frame(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, frames(), compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[2].dataoffsets[0], file.pages[2].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = b"\x55" * count
    path.write_bytes(data)
    with open_video(path) as video:
        video.read(1)
        assert f"{path}, frame 2" in complaint(lambda: video.read(2))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_frame_that_is_not_finite_is_named(tmp_path, value):
    data = frames(dtype=np.float32)
    data[2, 3, 4] = value
    tifffile.imwrite(tmp_path / "a.tif", data)
    with open_video(tmp_path / "a.tif") as video:
        video.read(1)
        text = complaint(lambda: video.read(2))
    assert "a.tif, frame 2" in text
    assert "NaN" in text


def test_a_constant_frame_is_named():
    data = frames()
    data[1] = 7
    with open_video(data) as video:
        video.read(0)
        text = complaint(lambda: video.read(1))
    assert "frame 1: constant (all pixels 7)" in text


def test_doubles_beyond_single_precision_are_refused():
    data = frames(dtype=np.float64)
    data[0, 0, 0] = 1e300
    with open_video(data) as video:
        assert "infinite" in complaint(lambda: video.read(0))


@pytest.mark.parametrize(("count", "words"), [(1, "one frame"), (0, "zero frames")])
def test_less_than_two_frames_are_no_video(tmp_path, count, words):
    assert words in complaint(lambda: open_video(frames(count)))
    if count:
        tifffile.imwrite(tmp_path / "a.tif", frames(count))
        assert words in complaint(lambda: open_video(tmp_path / "a.tif"))


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.complex64, bool])
def test_other_types_are_refused(dtype):
    assert np.dtype(dtype).name in complaint(lambda: open_video(frames(dtype=dtype)))


def test_an_array_needs_three_axes_and_one_channel():
    assert "(T, H, W)" in complaint(lambda: open_video(frames()[0]))
    assert "(T, H, W)" in complaint(lambda: open_video(frames(shape=(2, 12, 17))))
    assert "no channel 1" in complaint(lambda: open_video(frames(), channel=1))


def test_what_is_no_tiff_whatever_its_name(tmp_path):
    for content in (b"", b"frame,area\n1,2\n", b"II*\0", b"II*\0\x08\0\0\0", b"II*\0\0\0\0\0", b"\x89PNG\r\n\x1a\n"):
        (tmp_path / "a.tif").write_bytes(content)
        text = complaint(lambda: open_video(tmp_path / "a.tif"))
        assert "a.tif" in text
        assert "TIFF" in text or "no image" in text


def test_what_cannot_be_opened(tmp_path, monkeypatch):
    assert "no such file" in complaint(lambda: open_video(tmp_path / "none.tif"))
    (tmp_path / "a.avi").write_bytes(b"RIFF")
    assert "save it as one of them" in complaint(lambda: open_video(tmp_path / "a.avi"))
    tifffile.imwrite(tmp_path / "a.tif", frames())

    def forbidden(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tifffile, "TiffFile", forbidden)
    assert "Permission denied" in complaint(lambda: open_video(tmp_path / "a.tif"))


def test_no_more_than_a_frame_is_read(tmp_path, monkeypatch):
    """Of a compressed stack, the page asked for alone is decoded."""
    tifffile.imwrite(tmp_path / "a.tif", frames(), compression="zlib")
    decoded = []
    asarray = tifffile.TiffPage.asarray
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda page, **more: decoded.append(0) or asarray(page, **more))
    monkeypatch.setattr(tifffile.TiffFrame, "asarray", tifffile.TiffPage.asarray)
    with open_video(tmp_path / "a.tif") as video:
        assert not decoded
        video.read(2)
        assert len(decoded) == 1


def test_metadata_that_cannot_be_read_safely_are_done_without(tmp_path):
    hostile = '<!DOCTYPE a [<!ENTITY b "c">]><OME>&b;</OME>'
    tifffile.imwrite(tmp_path / "a.tif", frames(), description=hostile, metadata=None)
    with open_video(tmp_path / "a.tif") as video:
        assert np.isnan(video.pixel_size)
    coded = f'<?xml version="1.0" encoding="none-such"?>{tifffile.OmeXml().tostring()}'
    tifffile.imwrite(tmp_path / "a.tif", frames(), description=coded.encode(), metadata=None)
    with open_video(tmp_path / "a.tif") as video:
        assert np.isnan(video.pixel_size)
    tifffile.imwrite(tmp_path / "b.tif", frames(), description="<OME><broken></OME>", metadata=None)
    assert "\n" not in complaint(lambda: open_video(tmp_path / "b.tif"))  # nor can tifffile arrange its pages


def test_metadata_do_not_lead_to_other_files(tmp_path):
    (tmp_path / "in").mkdir()
    secret = frames() + 100
    tifffile.imwrite(tmp_path / "secret.tif", secret, metadata=None)
    tifffile.imwrite(tmp_path / "in" / "a.ome.tif", frames(), metadata={"axes": "TYX"})
    with tifffile.TiffFile(tmp_path / "in" / "a.ome.tif") as tif:
        ome = tif.ome_metadata
    tiles = "".join(
        f'<TiffData FirstT="{t}" IFD="{t}"><UUID FileName="../secret.tif">urn:uuid:1</UUID></TiffData>'
        for t in range(5)
    )
    hostile = re.sub(r"<TiffData[^>]*(/>|>.*?</TiffData>)", "", ome).replace("</Pixels>", tiles + "</Pixels>")
    tifffile.imwrite(tmp_path / "in" / "b.ome.tif", frames(), description=hostile.encode(), metadata=None)
    with open_video(tmp_path / "in" / "b.ome.tif") as video:
        assert not any(np.array_equal(video.read(at), secret[at]) for at in range(video.n_frames))


def test_a_number_of_channels_that_is_none_is_no_traceback(tmp_path):
    facts = "ImageJ=1.54f\nimages=5\nframes=5\nchannels=1.5\n"
    tifffile.imwrite(tmp_path / "a.tif", frames(), description=facts, metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert channel_names(tif) == []
    assert "damaged" in complaint(lambda: open_video(tmp_path / "a.tif"))


def test_metadata_that_speak_of_countless_planes_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", frames(), metadata={"axes": "TYX"})
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        ome = tif.ome_metadata
    hostile = ome.replace('SizeT="5"', 'SizeT="99999999999"').encode()
    tifffile.imwrite(tmp_path / "b.ome.tif", frames(), description=hostile, metadata=None)
    assert "planes" in complaint(lambda: open_video(tmp_path / "b.ome.tif"))
