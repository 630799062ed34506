import sys
from types import SimpleNamespace

import numpy as np
import pytest
from video_files import bioio, bioio_image, complaint, frames

from lexy.io.video import open_video


@pytest.fixture
def image(monkeypatch, tmp_path):
    """Five frames, two channels."""
    image = bioio_image(tmp_path / "a.czi", frames(shape=(2, 1, 12, 17)))
    monkeypatch.setitem(sys.modules, "bioio", bioio(image))
    return image


def test_one_plane_at_a_time(image):
    with open_video(image.path, channel=1) as video:
        assert (video.name, video.n_frames, video.shape) == ("a", 5, (12, 17))
        assert (video.pixel_size, video.interval) == (0.3, 20)
        assert not image.asked
        assert np.array_equal(video.read(3), image.data[3, 1, 0])
    assert image.asked == [(3, 1, 0)]


def test_channels_and_scenes_are_asked_for(image):
    assert "0 = BFP, 1 = mCherry" in complaint(lambda: open_video(image.path))
    image.scenes = ("A1", "A2")
    assert "2 scenes (A1, A2)" in complaint(lambda: open_video(image.path, channel=0))


def test_unknown_scale_is_not_a_number(image):
    image.time_interval, image.physical_pixel_sizes = None, SimpleNamespace(Z=None, Y=None, X=None)
    with open_video(image.path, channel=0) as video:
        assert np.isnan([video.pixel_size, video.interval]).all()


def test_what_a_reader_complains_of_is_one_line(image, monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("bad\nsegment")

    image.get_image_dask_data = fails
    with open_video(image.path, channel=0) as video:
        assert "frame 2: cannot be read (bad segment)" in complaint(lambda: video.read(2))
    monkeypatch.setitem(sys.modules, "bioio", SimpleNamespace(BioImage=fails))
    text = complaint(lambda: open_video(image.path))
    assert "bad segment" in text
    assert 'pip install "lexy[bioio]"' in text


@pytest.mark.parametrize("suffix", [".czi", ".ND2", ".lif"])
def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch, suffix):
    monkeypatch.setitem(sys.modules, "bioio", None)  # an import that fails
    (tmp_path / f"a{suffix}").write_bytes(b"")
    assert 'pip install "lexy[bioio]"' in complaint(lambda: open_video(tmp_path / f"a{suffix}"))


def test_a_real_czi_is_read_plane_by_plane(tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi", reason="the bioio extra is not installed")
    planes = np.random.default_rng(0).integers(0, 60000, (3, 2, 40, 64), dtype=np.uint16)
    path = tmp_path / "a.czi"
    with czi.create_czi(str(path)) as file:
        for time, channel in np.ndindex(3, 2):
            file.write(data=planes[time, channel][..., None], plane={"T": time, "C": channel, "Z": 0})
        file.write_metadata(document_name="a", channel_names={0: "reporter", 1: "marker"}, scale_x=5e-7, scale_y=5e-7)
    with open_video(path, channel=1) as video:
        assert (video.n_frames, video.shape, video.pixel_size) == (3, (40, 64), 0.5)
        for time in range(3):
            np.testing.assert_array_equal(video.read(time), planes[time, 1])
    assert "0 = reporter, 1 = marker" in complaint(lambda: open_video(path))
    cut = tmp_path / "cut.czi"
    cut.write_bytes(path.read_bytes()[:3000])
    assert "cut.czi: cannot be read" in complaint(lambda: open_video(cut, channel=1))
