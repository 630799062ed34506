import sys

import numpy as np
import pytest
import tifffile
from layout_files import image, nucleus
from PIL import Image
from video_files import bioio, bioio_image, frames

from lexy.data.videos.layouts.stacks import StackFiles
from lexy.errors import UserError
from lexy.io.video import open_video

STACKS = r"(?P<cell>.+?)(?:\.ome)?\.tiff?", r"(?P<cell>.+?)_masks?(?:\.ome)?\.tiff?"


def write_video(folder, monkeypatch, kind, data):
    """The frames of `data` (T, C, Z, H, W), or of its second channel as a folder of pictures."""
    if kind == "czi":
        monkeypatch.setitem(sys.modules, "bioio", bioio(bioio_image(folder / "a.czi", data)))
    elif kind == "imagej":
        tifffile.imwrite(folder / "a.tif", data[:, :, 0], imagej=True, metadata={"axes": "TCYX"})
    else:
        (folder / "a").mkdir()
        for time, frame in enumerate(data[:, 1, 0]):
            Image.fromarray(frame).save(folder / "a" / f"t{time}.png")


class TestStackFiles:
    def write(self, folder, frames=4, masks=4):
        stack = np.stack([image(t) for t in range(frames)])
        tifffile.imwrite(
            folder / "a.ome.tif", stack, metadata={"axes": "TYX", "PhysicalSizeX": 0.5, "TimeIncrement": 30.0}
        )
        tifffile.imwrite(folder / "a_mask.tif", np.stack([nucleus()] * masks))

    def test_a_stack_and_its_masks(self, tmp_path):
        self.write(tmp_path)
        (recording,) = StackFiles(*STACKS).recordings(tmp_path)
        assert (recording.name, recording.numbers) == ("a", (0, 1, 2, 3))
        assert (recording.pixel_size, recording.interval) == (0.5, 30.0)
        (given_scale,) = StackFiles(*STACKS, pixel_size=0.2).recordings(tmp_path)
        assert given_scale.pixel_size == 0.2

    def test_masks_of_the_first_frames(self, tmp_path):
        self.write(tmp_path, masks=2)
        with pytest.raises(UserError, match=r"a_mask\.tif has 2 frames, a\.ome\.tif has 4"):
            StackFiles(*STACKS).recordings(tmp_path)
        (recording,) = StackFiles(*STACKS, require_masks=False).recordings(tmp_path)
        assert recording.labelled.tolist() == [True, True, False, False]

    def test_what_is_missing_is_named(self, tmp_path):
        self.write(tmp_path)
        (tmp_path / "a_mask.tif").rename(tmp_path / "b_mask.tif")
        with pytest.raises(UserError, match=r"a\.ome\.tif: no file with its masks"):
            StackFiles(*STACKS).recordings(tmp_path)

    def test_a_size_that_changes(self, tmp_path):
        self.write(tmp_path)
        with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=False) as writer:
            for shape in [(6, 8)] * 4 + [(4, 8)]:
                writer.write(image(shape=shape), metadata=None)
        with pytest.raises(UserError, match=r"holds 2 images of their own \(4 × 6 × 8, 4 × 8\)"):
            StackFiles(*STACKS).recordings(tmp_path)

    def test_no_other_file_is_opened_that_the_metadata_names(self, tmp_path):
        """Renamed files of OME-TIFF name the old file; tifffile would read it, or zeros where it is gone."""
        self.write(tmp_path)
        with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
            text = tif.ome_metadata
        uuid = 'PlaneCount="4"><UUID FileName="old.ome.tif">urn:uuid:0</UUID></TiffData>'
        text = text.replace('PlaneCount="4"/>', uuid).encode()
        with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=False) as writer:
            for t in range(4):
                writer.write(image(t + 1), description=text if t == 0 else None, metadata=None)
        tifffile.imwrite(tmp_path / "old.ome.tif", np.stack([image(9)] * 4))
        (recording,) = StackFiles(*STACKS, ignore="old.*").recordings(tmp_path)
        assert recording.frames[:, 0, 0].tolist() == [1, 2, 3, 4]
        assert recording.pixel_size == 0.5

    def test_a_tiff_that_no_pattern_fits(self, tmp_path):
        self.write(tmp_path)
        tifffile.imwrite(tmp_path / "b.TIF", image())
        with pytest.raises(UserError, match=r"b\.TIF"):
            StackFiles(*STACKS).recordings(tmp_path)

    @pytest.mark.parametrize("kind", ["czi", "imagej", "pictures"])
    def test_what_can_be_predicted_on_can_be_trained_on(self, tmp_path, monkeypatch, kind):
        data = frames(4, shape=(2, 1, 6, 8))
        write_video(tmp_path, monkeypatch, kind, data)
        tifffile.imwrite(tmp_path / "a_mask.tif", np.stack([nucleus()] * 4), imagej=True, metadata={"axes": "ZYX"})
        pattern = r"(?P<cell>[a-z])(\.czi|\.tif)?"
        channel = None if kind == "pictures" else 1
        (recording,) = StackFiles(pattern, STACKS[1], channel=channel, interval=20.0).recordings(tmp_path)
        assert np.array_equal(recording.frames, data[:, 1, 0])
        assert recording.frames.dtype == np.uint16
        assert recording.masks.sum() == 4 * 6
        assert recording.interval == 20
        source = tmp_path / {"czi": "a.czi", "imagej": "a.tif", "pictures": "a"}[kind]
        with open_video(source, channel=channel) as video:
            assert all(np.array_equal(video.read(time), recording.frames[time]) for time in range(4))

    def test_the_channel_is_asked_for(self, tmp_path):
        self.write(tmp_path)
        tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((4, 2, 6, 8), np.uint8), metadata={"axes": "TCYX"})
        with pytest.raises(UserError, match=r"2 channels.*data\.layout\.channel"):
            StackFiles(*STACKS).recordings(tmp_path)

    def test_one_frame_is_no_video(self, tmp_path):
        self.write(tmp_path, masks=1)
        tifffile.imwrite(tmp_path / "a.ome.tif", image())
        with pytest.raises(UserError, match=r"a\.ome\.tif: one frame alone"):
            StackFiles(*STACKS).recordings(tmp_path)
