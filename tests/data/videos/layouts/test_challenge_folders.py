import pytest
import tifffile
from layout_files import image, nucleus

from lexy.data.videos.layouts.challenge import ChallengeFolders
from lexy.errors import UserError


class TestChallengeFolders:
    def write(self, folder, masks):
        (folder / "01").mkdir()
        (folder / "01_GT" / "SEG").mkdir(parents=True)
        for number in range(3):
            tifffile.imwrite(folder / "01" / f"t{number:03}.tif", image(number))
        for number in masks:
            tifffile.imwrite(folder / "01_GT" / "SEG" / f"man_seg{number:03}.tif", nucleus() // 255 * 7)

    def test_frames_and_their_gold_truth(self, tmp_path):
        self.write(tmp_path, [1])
        (recording,) = ChallengeFolders().recordings(tmp_path)
        assert recording.name == "01"
        assert recording.labelled.tolist() == [False, True, False]
        assert recording.masks[1].sum() == 6
        with pytest.raises(UserError, match=r"no mask for t000\.tif"):
            ChallengeFolders(require_masks=True).recordings(tmp_path)

    def test_masks_in_the_folder_of_the_frames_and_a_stranger(self, tmp_path):
        self.write(tmp_path, [0, 1, 2])
        for path in (tmp_path / "01_GT" / "SEG").iterdir():
            path.rename(tmp_path / "01" / path.name)
        (tmp_path / "01_GT" / "SEG").rmdir()
        (recording,) = ChallengeFolders(require_masks=True).recordings(tmp_path)
        assert recording.labelled.all()
        tifffile.imwrite(tmp_path / "01" / "frame3.tif", image())
        with pytest.raises(UserError, match=r"frame3\.tif \(1 such files\)"):
            ChallengeFolders().recordings(tmp_path)

    def test_a_mask_without_its_frame(self, tmp_path):
        self.write(tmp_path, [5])
        with pytest.raises(UserError, match=r"man_seg005\.tif: a mask without its frame t005\.tif"):
            ChallengeFolders().recordings(tmp_path)

    def test_another_kind_of_folder(self, tmp_path):
        with pytest.raises(UserError, match="has no folder 01"):
            ChallengeFolders().recordings(tmp_path)
