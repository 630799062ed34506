import math

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from layout_files import image, nucleus
from PIL import Image

from lexy.data.videos.layouts.frames import FrameFiles
from lexy.errors import UserError

PUBLISHED = r".*?_(?P<cell>C\d+)_t(?P<frame>\d+)\.tiff?"
SEPARATE = r"(?P<cell>\w+?)_(?P<kind>image|mask)_(?P<frame>\d+)\.tif"


def write_frames(folder, cell="C01", numbers=range(1, 12), mask=None):
    """Frame t is the number t everywhere; names are written without leading zeros."""
    for number in numbers:
        planes = np.stack([image(number), nucleus() if mask is None else mask])
        tifffile.imwrite(folder / f"KTR_x_{cell}_t{number}.tif", planes)


class TestFrameFiles:
    def test_planes_of_the_published_files_in_numerical_order(self, tmp_path):
        write_frames(tmp_path, "C10"), write_frames(tmp_path, "C02", range(5, 8))
        (tmp_path / "notes.txt").write_text("not looked at")
        second, tenth = FrameFiles(PUBLISHED).recordings(tmp_path)
        assert (second.name, tenth.name) == ("C02", "C10")
        assert tenth.frames[:, 0, 0].tolist() == list(range(1, 12))
        assert second.numbers == (5, 6, 7)
        assert tenth.labelled.all()
        assert tenth.masks.sum() == 11 * 6
        assert math.isnan(tenth.pixel_size)

    def test_the_planes_may_be_at_the_other_end(self, tmp_path):
        planes = np.stack([nucleus(), image(7)], axis=-1)
        for number in (1, 2):
            tifffile.imwrite(tmp_path / f"a_C1_t{number}.tif", planes, photometric="minisblack", planarconfig="contig")
        (recording,) = FrameFiles(PUBLISHED, image_plane=1, mask_plane=0).recordings(tmp_path)
        assert set(recording.frames.ravel()) == {7}
        assert recording.masks[0].sum() == 6

    def test_image_and_mask_in_files_of_their_own(self, tmp_path):
        for number in (8, 9, 10):
            tifffile.imwrite(tmp_path / f"a_image_{number}.tif", image(number))
            tifffile.imwrite(tmp_path / f"a_mask_{number}.tif", nucleus())
        (recording,) = FrameFiles(SEPARATE).recordings(tmp_path)
        assert recording.frames[:, 0, 0].tolist() == [8, 9, 10]
        (tmp_path / "a_image_9.tif").unlink()
        with pytest.raises(UserError, match=r"a_mask_9\.tif: a mask without its image"):
            FrameFiles(SEPARATE).recordings(tmp_path)

    def test_frames_may_be_pictures(self, tmp_path):
        for number in (8, 9, 10):
            Image.fromarray(image(number)).save(tmp_path / f"a_image_{number}.png")
            Image.fromarray(nucleus().astype(np.uint8)).save(tmp_path / f"a_mask_{number}.png")
        (recording,) = FrameFiles(SEPARATE.replace("tif", "png")).recordings(tmp_path)
        assert recording.frames[:, 0, 0].tolist() == [8, 9, 10]
        assert recording.masks.sum() == 3 * 6
        Image.fromarray(image()).save(tmp_path / "a_imgae_11.png")
        with pytest.raises(UserError, match=r"a_imgae_11\.png \(1 such files\)"):
            FrameFiles(SEPARATE.replace("tif", "png")).recordings(tmp_path)

    def test_dark_nuclei(self, tmp_path):
        write_frames(tmp_path, mask=255 - nucleus())
        (recording,) = FrameFiles(PUBLISHED, dark_nuclei=True).recordings(tmp_path)
        assert recording.masks[0].sum() == 6

    def test_masks_on_some_frames_only(self, tmp_path):
        for number in (1, 2, 3):
            tifffile.imwrite(tmp_path / f"a_image_{number}.tif", image(number))
        tifffile.imwrite(tmp_path / "a_mask_2.tif", nucleus())
        with pytest.raises(UserError, match=r"no mask for a_image_1\.tif \(2 of 3 frames\).*require_masks=false"):
            FrameFiles(SEPARATE).recordings(tmp_path)
        (recording,) = FrameFiles(SEPARATE, require_masks=False).recordings(tmp_path)
        assert recording.labelled.tolist() == [False, True, False]
        (tmp_path / "a_mask_2.tif").unlink()
        with pytest.raises(UserError, match="3 of 3 frames"):
            FrameFiles(SEPARATE, require_masks=False).recordings(tmp_path)

    def test_a_gap_names_what_is_missing(self, tmp_path):
        write_frames(tmp_path, numbers=[1, 2, 5])
        with pytest.raises(UserError, match=r"C01: frame 3 is missing after KTR_x_C01_t2\.tif \(2 missing in all\)"):
            FrameFiles(PUBLISHED).recordings(tmp_path)

    def test_a_frame_that_is_there_twice(self, tmp_path):
        write_frames(tmp_path, numbers=[1, 2])
        tifffile.imwrite(tmp_path / "KTR_x_C01_t01.tif", np.stack([image(), nucleus()]))
        with pytest.raises(UserError, match=r"_t1\.tif: frame 1 of C01 is there twice, also as KTR_x_C01_t01\.tif"):
            FrameFiles(PUBLISHED).recordings(tmp_path)

    def test_a_size_that_changes(self, tmp_path):
        write_frames(tmp_path, numbers=[1])
        tifffile.imwrite(tmp_path / "KTR_x_C01_t2.tif", np.stack([image(shape=(6, 9)), nucleus((6, 9))]))
        with pytest.raises(UserError, match=r"KTR_x_C01_t2\.tif is \(6, 9\) uint16, KTR_x_C01_t1\.tif is \(6, 8\)"):
            FrameFiles(PUBLISHED).recordings(tmp_path)

    def test_a_file_that_is_no_image(self, tmp_path):
        (tmp_path / "x_C01_t1.tif").write_text("no image")
        with pytest.raises(UserError, match=r"x_C01_t1\.tif: not a TIFF file"):
            FrameFiles(PUBLISHED).recordings(tmp_path)

    def test_pages_of_different_types(self, tmp_path):
        for number in (1, 2):
            with tifffile.TiffWriter(tmp_path / f"a_C1_t{number}.tif") as writer:
                writer.write(image(number)), writer.write(nucleus().astype(np.uint8))
        (recording,) = FrameFiles(PUBLISHED).recordings(tmp_path)
        assert recording.frames[:, 0, 0].tolist() == [1, 2]
        assert recording.masks[1].sum() == 6

    @pytest.mark.parametrize("planes", [3, 4])
    def test_planes_that_tifffile_takes_for_colours(self, tmp_path, planes):
        stack = np.stack([image(9), nucleus(), *[image()] * (planes - 2)])
        for number in (1, 2):
            tifffile.imwrite(tmp_path / f"a_C1_t{number}.tif", stack, photometric="rgb", planarconfig="separate")
        (recording,) = FrameFiles(PUBLISHED).recordings(tmp_path)
        assert set(recording.frames.ravel()) == {9}
        assert recording.masks[0].sum() == 6

    def test_the_group_plane_and_the_words_for_image_and_mask(self, tmp_path):
        for number in (1, 2):
            tifffile.imwrite(tmp_path / f"a{number}_p0.tif", nucleus())
            tifffile.imwrite(tmp_path / f"a{number}.tif", image(number))
        pattern = r"(?P<cell>a)(?P<frame>\d)(_(?P<plane>p\d))?\.tif"
        (recording,) = FrameFiles(pattern, image_kind="", mask_kind="p0").recordings(tmp_path)
        assert recording.frames[:, 0, 0].tolist() == [1, 2]
        tifffile.imwrite(tmp_path / "a1_p7.tif", nucleus())
        with pytest.raises(UserError, match=r"a1_p7\.tif: its plane 'p7' is neither"):
            FrameFiles(pattern, image_kind="", mask_kind="p0").recordings(tmp_path)

    def test_a_tiff_that_no_pattern_fits_is_left_out_by_name_only(self, tmp_path):
        write_frames(tmp_path, numbers=[1, 2])
        tifffile.imwrite(tmp_path / "KTR_x_C01_t3b.TIF", image())
        with pytest.raises(UserError, match=r"KTR_x_C01_t3b\.TIF \(1 such files\).*data\.layout\.ignore"):
            FrameFiles(PUBLISHED).recordings(tmp_path)
        (recording,) = FrameFiles(PUBLISHED, ignore=r".*b\.TIF").recordings(tmp_path)
        assert recording.numbers == (1, 2)

    def test_a_gap_as_wide_as_between_times_of_day(self, tmp_path):
        write_frames(tmp_path, numbers=[20261123041500, 20261124041500])
        with pytest.raises(UserError, match="frame 20261123041501 is missing"):
            FrameFiles(PUBLISHED).recordings(tmp_path)

    def test_colours_and_values_that_are_no_numbers(self, tmp_path):
        path = tmp_path / "a_C1_t1.tif"
        tifffile.imwrite(path, np.zeros((6, 8, 3), np.uint8), photometric="rgb")
        with pytest.raises(UserError, match=r"a_C1_t1\.tif: a colour image"):
            FrameFiles(PUBLISHED).recordings(tmp_path)
        tifffile.imwrite(path, np.stack([np.full((6, 8), np.nan, np.float32), nucleus().astype(np.float32)]))
        with pytest.raises(UserError, match=r"a_C1_t1\.tif: its image \(float32\) holds values"):
            FrameFiles(PUBLISHED).recordings(tmp_path)

    def test_files_that_differ_in_scale(self, tmp_path):
        for number in (1, 2):
            planes = np.stack([image(number), nucleus()])
            facts = {"axes": "CYX", "PhysicalSizeX": 0.2 * number, "TimeIncrement": 270.0}
            tifffile.imwrite(tmp_path / f"a_C1_t{number}.tif", planes, ome=True, metadata=facts)
        with pytest.raises(UserError, match=r"pixel_size from 0\.2 to 0\.4.*data\.layout\.pixel_size="):
            FrameFiles(PUBLISHED).recordings(tmp_path)
        (recording,) = FrameFiles(PUBLISHED, pixel_size=0.3).recordings(tmp_path)
        assert (recording.pixel_size, recording.interval) == (0.3, 270.0)

    def test_a_file_that_is_cut_short(self, tmp_path):
        write_frames(tmp_path, numbers=[1])
        path = tmp_path / "KTR_x_C01_t1.tif"
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(UserError, match=r"KTR_x_C01_t1\.tif: a damaged TIFF file, or one that is cut short"):
            FrameFiles(PUBLISHED).recordings(tmp_path)

    def test_image_and_mask_must_differ(self):
        with pytest.raises(UserError, match="must differ"):
            FrameFiles(PUBLISHED, image_plane=1)

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [
            ("(", "is no regular expression"),
            ("(?P<cell>a)", "has no group 'frame'"),
            (PUBLISHED, "1 files, for example other.tif, matches"),
            (r"(?P<cell>C\d)?other(?P<frame>\d?)\.tif", "other.tif: the group 'cell' of the pattern holds nothing"),
        ],
    )
    def test_a_pattern_that_cannot_be(self, tmp_path, pattern, message):
        (tmp_path / "other.tif").write_text("")
        with pytest.raises(UserError, match=message):
            FrameFiles(pattern).recordings(tmp_path)

    def test_a_frame_number_that_is_none(self, tmp_path):
        tifffile.imwrite(tmp_path / "C1_a.tif", image())
        with pytest.raises(UserError, match="'a' stands where the pattern has the frame number"):
            FrameFiles(r"(?P<cell>C\d)_(?P<frame>.)\.tif").recordings(tmp_path)

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(UserError, match="no such folder"):
            FrameFiles(PUBLISHED).recordings(tmp_path / "none")

    @settings(max_examples=10)
    @given(first=st.integers(0, 200), count=st.integers(1, 12))
    def test_any_numbers_come_in_order(self, tmp_path_factory, first, count):
        folder = tmp_path_factory.mktemp("frames")
        numbers = list(range(first, first + count))
        write_frames(folder, numbers=numbers[::-1])
        (recording,) = FrameFiles(PUBLISHED).recordings(folder)
        assert recording.numbers == tuple(numbers)
        assert recording.frames[:, 0, 0].tolist() == numbers
