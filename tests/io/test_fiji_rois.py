import warnings
import zipfile

import numpy as np
import pytest
from memory_video import MemoryVideo
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi, roiwrite
from video_files import complaint

from lexy.io import fiji_rois
from lexy.io.user_masks import read_user_mask

VIDEO = MemoryVideo(np.zeros((5, 20, 30)))


def box(kind, top, left, bottom, right, **more):
    return ImagejRoi(roitype=kind, top=top, left=left, bottom=bottom, right=right, **more)


def polygon(points, **more):
    return ImagejRoi.frompoints(np.array(points), **more)


def read(tmp_path, rois, frame=0):
    path = tmp_path / "RoiSet.zip"
    path.unlink(missing_ok=True)
    roiwrite(path, rois, name=[f"{number:04}" for number in range(len(rois))])
    return read_user_mask(path, frame, VIDEO)


def test_a_rectangle_covers_its_pixels_and_no_more(tmp_path):
    truth = np.zeros((20, 30), int)
    truth[2:6, 3:8] = 1
    assert np.array_equal(read(tmp_path, [box(ROI_TYPE.RECT, 2, 3, 6, 8)]), truth)
    # The same as a polygon of (x, y): corners of pixels
    assert np.array_equal(read(tmp_path, [polygon([[3, 2], [8, 2], [8, 6], [3, 6]])]), truth)


def test_an_oval_is_its_ellipse(tmp_path):
    # Of 4 × 4 pixels the corners' centres lie 1.5 √2 = 2.12 from the middle, outside the radius of 2
    truth = np.zeros((20, 30), int)
    truth[5:9, 10:14] = [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]]
    assert np.array_equal(read(tmp_path, [box(ROI_TYPE.OVAL, 5, 10, 9, 14)]), truth)
    half = box(ROI_TYPE.OVAL, 5, 10, 9, 14, options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION, xd=10, yd=5, widthd=4, heightd=4)
    assert np.array_equal(read(tmp_path, [half]), truth)


@pytest.mark.parametrize("kind", [ROI_TYPE.FREEHAND, ROI_TYPE.TRACED, ROI_TYPE.POLYGON])
def test_outlines_below_a_pixel(tmp_path, kind):
    roi = polygon([[3.4, 2.4], [8.4, 2.4], [8.4, 6.4], [3.4, 6.4]])  # centres of columns 3 to 7 and rows 2 to 5
    roi.roitype = kind
    found = read(tmp_path, [roi])
    assert found[2:6, 3:8].all()
    assert found.sum() == 20


def test_rois_are_numbered_in_order_and_later_ones_lie_above(tmp_path):
    found = read(tmp_path, [box(ROI_TYPE.RECT, 0, 0, 4, 4), box(ROI_TYPE.RECT, 2, 2, 6, 6)])
    assert found.dtype == np.int32
    assert (found[0, 0], found[3, 3], found[5, 5], (found == 1).sum(), (found == 2).sum()) == (1, 2, 2, 12, 16)


def test_rois_with_a_position_are_of_that_frame(tmp_path):
    first, third, always = (box(ROI_TYPE.RECT, at, 0, at + 2, 2) for at in (0, 4, 8))
    first.t_position, third.position = 1, 3  # Fiji counts from 1
    assert read(tmp_path, [first, third, always], frame=0)[[0, 4, 8], 0].tolist() == [1, 0, 2]
    assert read(tmp_path, [first, third, always], frame=2)[[0, 4, 8], 0].tolist() == [0, 1, 2]
    text = complaint(lambda: read(tmp_path, [first, third], frame=1))
    assert "(0, 2, counted from 0)" in text
    assert "Remove Positions" in text


def test_outlines_end_at_the_border(tmp_path):
    assert (read(tmp_path, [polygon([[-4, -4], [3, -4], [3, 2], [-4, 2]])]) > 0).sum() == 6
    assert "no pixel of it" in complaint(lambda: read(tmp_path, [box(ROI_TYPE.RECT, 40, 40, 50, 50)]))


def test_a_single_roi(tmp_path):
    box(ROI_TYPE.RECT, 1, 1, 3, 3).tofile(tmp_path / "a.roi")
    assert read_user_mask(tmp_path / "a.roi", 0, VIDEO).sum() == 4


def test_what_is_no_area_is_named(tmp_path):
    line = ImagejRoi(roitype=ROI_TYPE.LINE, x1=1, y1=1, x2=5, y2=5)
    point = polygon([[3, 3]])
    point.roitype = ROI_TYPE.POINT
    text = box(ROI_TYPE.RECT, 1, 1, 9, 9, subtype=ROI_SUBTYPE.TEXT)
    rounded = box(ROI_TYPE.RECT, 1, 1, 9, 9, rounded_rect_arc_size=4)
    for roi, kind in ((line, "line"), (point, "point"), (text, "text"), (rounded, "rounded")):
        message = complaint(lambda each=roi: read(tmp_path, [box(ROI_TYPE.RECT, 1, 1, 9, 9), each]))
        assert kind in message
        assert "0001" in message


def test_a_roi_that_others_cover_is_named(tmp_path):
    covered = [box(ROI_TYPE.RECT, 1, 1, 3, 3), box(ROI_TYPE.RECT, 0, 0, 6, 6)]
    assert "0000.roi lies wholly under" in complaint(lambda: read(tmp_path, covered))


def pack(path, members):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def test_archives_that_are_none(tmp_path, monkeypatch):
    roi = box(ROI_TYPE.RECT, 1, 1, 3, 3).tobytes()
    path = tmp_path / "a.zip"

    def said(members):
        return complaint(lambda: read_user_mask(pack(path, members), 0, VIDEO))

    assert "holds no ROI" in said([])
    assert "../../etc/cron" in said([("../../etc/cron", roi)])
    assert "b.roi is no ROI" in said([("b.roi", b"Iout")])
    assert "b.roi is of kind unknown" in said([("b.roi", b"Iout" + b"\xff" * 200)])
    assert "larger than" in said([("bomb.roi", b"\0" * 50_000_000)])
    odd = said([("a\x1b[31m\n" + "x" * 500 + ".roi", b"")])
    assert "\x1b" not in odd
    assert len(odd) < 300
    monkeypatch.setattr(fiji_rois, "MOST_ROIS", 2)
    assert "more than 2 ROIs" in said([(f"{number}.roi", roi) for number in range(3)])
    path.write_bytes(path.read_bytes()[:100])
    assert "damaged" in complaint(lambda: read_user_mask(path, 0, VIDEO))
    path.write_text("text")
    assert "damaged" in complaint(lambda: read_user_mask(path, 0, VIDEO))
    assert "cannot be opened" in complaint(lambda: read_user_mask(tmp_path / "none.zip", 0, VIDEO))


def test_nothing_is_unpacked_and_litter_of_macos_is_left(tmp_path):
    roi = box(ROI_TYPE.RECT, 1, 1, 3, 3).tobytes()
    pack(tmp_path / "a.zip", [("../out.roi", roi), ("__MACOSX/._a.roi", b"x")])
    assert read_user_mask(tmp_path / "a.zip", 0, VIDEO).sum() == 4
    assert not (tmp_path.parent / "out.roi").exists()
