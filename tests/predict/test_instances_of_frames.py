import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_video import disc, discs

from lexy.predict.instances import region_table, split_instances

SHAPE = (64, 96)


def soft(mask):
    return np.where(mask, 0.9, 0.1).astype(np.float32)


@settings(max_examples=40)
@given(st.integers(14, 24), st.floats(0.75, 1.0), st.floats(0, np.pi), st.floats(0, 1), st.floats(0, 1))
def test_overlapping_discs_are_split_between_their_centres(diameter, apart, angle, down, right):
    centre = np.array([32 + down, 48 + right])
    half = apart * diameter / 2 * np.array([np.sin(angle), np.cos(angle)])
    labels = split_instances(soft(discs(SHAPE, [centre - half, centre + half], diameter)), diameter).labels
    assert labels.max() == 2
    first, second = (labels[tuple(place.round().astype(int))] for place in (centre - half, centre + half))
    assert {int(first), int(second)} == {1, 2}
    areas = np.bincount(labels.ravel())[1:]
    assert areas.min() > 0.75 * areas.max()


@settings(max_examples=40)
@given(st.integers(10, 24), st.floats(0, 0.25), st.floats(0, np.pi), st.floats(0, 1), st.floats(0, 1))
def test_what_has_no_neck_is_one(diameter, apart, angle, down, right):
    centre = np.array([32 + down, 48 + right])
    half = apart * diameter / 2 * np.array([np.sin(angle), np.cos(angle)])
    mask = discs(SHAPE, [centre - half, centre + half], diameter)
    labels = split_instances(soft(mask), diameter).labels
    assert labels.max() == 1
    assert ((labels > 0) == mask).all()


def test_an_ellipse_is_one():
    rows, columns = np.mgrid[:64, :96]
    mask = ((rows - 32) / 7) ** 2 + ((columns - 48) / 16) ** 2 <= 1
    assert split_instances(soft(mask), 20).labels.max() == 1


def test_specks_and_holes_are_counted():
    mask = disc(SHAPE, 32, 30, 20)
    whole = mask.copy()
    mask[32, 28:31] = False  # 3 px of 314: a hole
    mask[5, 5:8] = mask[60, 90] = True  # 3 px and 1 px: specks
    labels, specks, holes = split_instances(soft(mask), 20)
    assert (specks, holes) == (2, 1)
    assert ((labels > 0) == whole).all()


def test_what_nuclei_enclose_is_no_hole_where_it_is_large():
    ring = disc(SHAPE, 32, 48, 50) & ~disc(SHAPE, 32, 48, 26)
    labels, _, holes = split_instances(soft(ring), 12)
    assert holes == 0
    assert labels[32, 48] == 0


def test_a_nucleus_that_the_border_cuts_is_one():
    mask = disc(SHAPE, -3, 48, 20)  # a cap: seven rows of a disc
    mask |= disc(SHAPE, 32, 95, 20)
    assert split_instances(soft(mask), 20).labels.max() == 2


def test_nothing_there():
    labels, specks, holes = split_instances(np.zeros(SHAPE), 16)
    assert labels.dtype == np.int32
    assert (labels.max(), specks, holes) == (0, 0, 0)
    assert region_table(labels, np.zeros(SHAPE)).empty


def test_a_frame_that_is_one_nucleus_all_over():
    assert split_instances(np.ones((8, 8)), 16).labels.tolist() == [[1] * 8] * 8


def test_regions_by_hand():
    labels = np.zeros((6, 10), int)
    labels[0:2, 1:3] = 4  # at the border
    labels[2:5, 3:5] = 7  # touches 4 at a corner
    labels[2:4, 7:9] = 9
    probability = np.where(labels == 9, 0.6, 0.75)
    table = region_table(labels, probability).set_index("label")
    assert table.index.tolist() == [4, 7, 9]
    assert table["area_px"].tolist() == [4, 6, 4]
    assert table.loc[7, ["row", "column"]].tolist() == [3, 3.5]
    assert table["confidence"].tolist() == pytest.approx([0.5, 0.5, 0.2])
    assert table["edge"].tolist() == [True, False, False]
    assert table["touching"].tolist() == [True, True, False]
