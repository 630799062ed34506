import numpy as np
from video_files import frames

from lexy.io import readers
from lexy.io.video import open_video


class NumpyReader:
    """All that a format needs."""

    suffixes = (".npy",)

    def __init__(self, path):
        self._data = np.load(path, mmap_mode="r")
        self.axes, self.sizes, self.dtype = "CTYX", self._data.shape, self._data.dtype
        self.channels, self.pixel_size, self.interval = ["BFP", "mCherry"], 0.5, float("nan")

    def plane(self, index):
        return self._data[index]

    def close(self):
        pass


def test_another_format_is_a_class_and_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "READERS", (*readers.READERS, NumpyReader))
    data = frames(2, shape=(5, 12, 17))
    np.save(tmp_path / "a.npy", data)
    with open_video(tmp_path / "a.npy", channel=1) as video:
        assert (video.n_frames, video.shape, video.pixel_size) == (5, (12, 17), 0.5)
        assert np.array_equal(video.read(3), data[1, 3])
