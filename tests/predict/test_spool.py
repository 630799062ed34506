from pathlib import Path

import numpy as np
import pytest
from video_files import complaint

from lexy.predict.spool import Spool


def test_what_is_written_is_read_again(tmp_path):
    spool = Spool(tmp_path / "new")
    spool[3] = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert np.array_equal(spool[3], [[0, 1, 2], [3, 4, 5]])
    assert spool[3].dtype == np.int32


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the file that is always full")
@pytest.mark.parametrize("size", [10, 10**6])  # held back until the file is closed, and written at once
def test_a_full_disk_names_the_folder_of_temporary_files(tmp_path, size):
    (tmp_path / "0000003.npy").symlink_to("/dev/full")

    def write():
        Spool(tmp_path)[3] = np.zeros(size)

    text = complaint(write)
    assert text.startswith(f"{tmp_path}: temporary files cannot be written")
    assert "TMPDIR" in text
