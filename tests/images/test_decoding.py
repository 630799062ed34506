import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_video import disc, discs

from lexy.images.instances import decode

SHAPE = (64, 96)


def soft(mask):
    return np.where(mask, 0.9, 0.1).astype(np.float32)


@settings(max_examples=40)
@given(st.integers(14, 24), st.floats(0.75, 1.0), st.floats(0, np.pi), st.floats(0, 1), st.floats(0, 1))
def test_overlapping_discs_are_split_between_their_centres(diameter, apart, angle, down, right):
    centre = np.array([32 + down, 48 + right])
    half = apart * diameter / 2 * np.array([np.sin(angle), np.cos(angle)])
    labels = decode(soft(discs(SHAPE, [centre - half, centre + half], diameter)), diameter).labels
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
    labels = decode(soft(mask), diameter).labels
    assert labels.max() == 1
    assert ((labels > 0) == mask).all()


def test_an_ellipse_is_one():
    rows, columns = np.mgrid[:64, :96]
    mask = ((rows - 32) / 7) ** 2 + ((columns - 48) / 16) ** 2 <= 1
    assert decode(soft(mask), 20).labels.max() == 1


def test_specks_and_holes_are_counted():
    mask = disc(SHAPE, 32, 30, 20)
    whole = mask.copy()
    mask[32, 28:31] = False  # 3 px of 314: a hole
    mask[5, 5:8] = mask[60, 90] = True  # 3 px and 1 px: specks
    labels, specks, holes = decode(soft(mask), 20)
    assert (specks, holes) == (2, 1)
    assert ((labels > 0) == whole).all()


def test_what_nuclei_enclose_is_no_hole_where_it_is_large():
    ring = disc(SHAPE, 32, 48, 50) & ~disc(SHAPE, 32, 48, 26)
    labels, _, holes = decode(soft(ring), 12)
    assert holes == 0
    assert labels[32, 48] == 0


def test_a_nucleus_that_the_border_cuts_is_one():
    mask = disc(SHAPE, -3, 48, 20)  # a cap: seven rows of a disc
    mask |= disc(SHAPE, 32, 95, 20)
    assert decode(soft(mask), 20).labels.max() == 2


def test_nothing_there():
    labels, specks, holes = decode(np.zeros(SHAPE), 16)
    assert labels.dtype == np.int32
    assert (labels.max(), specks, holes) == (0, 0, 0)


def test_a_frame_that_is_one_nucleus_all_over():
    assert decode(np.ones((8, 8)), 16).labels.tolist() == [[1] * 8] * 8


def cone(centre, diameter):
    """Distance to the outline of a disc, 1 in its middle."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (1 - np.hypot(rows - centre[0], columns - centre[1]) / (diameter / 2)).clip(0).astype(np.float32)


@settings(max_examples=40)
@given(st.integers(12, 24), st.floats(0.35, 0.7), st.floats(0, np.pi), st.booleans())
def test_a_map_of_distances_parts_what_has_no_neck(diameter, apart, angle, crowded):
    half = apart * diameter / 2 * np.array([np.sin(angle), np.cos(angle)])
    middle = np.array([32, 48])
    centres = [middle - half, middle + half]
    distance = np.max([cone(centre, diameter) for centre in centres], axis=0)
    inside = soft(disc(SHAPE, 32, 48, 2 * diameter)) if crowded else soft(discs(SHAPE, centres, diameter))
    labels = decode(inside, diameter, distance).labels
    assert ((labels > 0) == (inside > 0.5)).all()
    first, second = (labels[tuple(centre.round().astype(int))] for centre in centres)
    assert {int(first), int(second)} == {1, 2}
    assert labels.max() == 2


def test_an_even_map_of_distances_leaves_pieces_whole():
    mask = discs(SHAPE, [(20, 20), (20, 38), (40, 70)], 20)  # the first two overlap
    assert decode(soft(mask), 20).labels.max() == 3
    assert decode(soft(mask), 20, np.full(SHAPE, 0.5, np.float32)).labels.max() == 2
