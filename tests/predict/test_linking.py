from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from memory_video import disc

from lexy.predict.flags import flagged
from lexy.predict.linking import bridge, link, same_place
from lexy.predict.regions import region_table

SHAPE, DIAMETER = (60, 90), 12


def film(*frames):
    """Labels (T, H, W) of frames given as lists of (row, column[, diameter])."""
    labels = np.zeros((len(frames), *SHAPE), np.int32)
    for image, nuclei in zip(labels, frames, strict=True):
        for number, (row, column, *diameter) in enumerate(nuclei, start=1):
            image[disc(SHAPE, row, column, *(diameter or [DIAMETER]))] = number
    return labels


def linked(labels, **settings):
    tables = [region_table(image, (image > 0) * 1.0).assign(frame=frame) for frame, image in enumerate(labels)]
    overlaps = [same_place(*pair) for pair in pairwise(labels)]
    return link(pd.concat(tables, ignore_index=True), overlaps, len(labels), DIAMETER, **settings)


def flags(labels):
    links = linked(labels)
    table = flagged(links.table.assign(filled=False), links.divisions, len(labels), SHAPE, DIAMETER)
    return {(row.frame, row.id): row.flags for row in table.astype({"flags": object}).itertuples()}


def ids(links):
    return links.table.groupby("frame")["id"].apply(list).to_dict()


def test_pairs_that_overlap_by_more_than_half():
    before, after = np.zeros((2, 4, 12), int)
    before[:, 0:4], after[:, 1:5] = 3, 8  # 12 of 20 px: 0.6
    before[:, 6:8], after[:, 7:9] = 1, 2  # 4 of 12 px
    assert same_place(before, after).tolist() == [[3, 8]]
    assert same_place(before * 0, after).shape == (0, 2)
    assert same_place(before, after, iou=0.3).tolist() == [[1, 2], [3, 8]]


def test_ids_stay_with_their_nuclei_whatever_their_number_in_a_frame():
    links = linked(film([(20, 20), (20, 60)], [(20, 61), (21, 21)], [(22, 22), (20, 62)]))
    assert ids(links) == {0: [1, 2], 1: [2, 1], 2: [1, 2]}
    assert links.divisions.empty
    assert links.gaps.empty


def test_a_fast_one_is_followed_without_overlap_and_a_far_one_is_not():
    assert ids(linked(film([(20, 20)], [(20, 28)], [(20, 36)]))) == {0: [1], 1: [1], 2: [1]}  # 8 px of 9
    assert ids(linked(film([(20, 20)], [(20, 31)]))) == {0: [1], 1: [2]}


@pytest.mark.parametrize(("missing", "same"), [(1, True), (2, True), (3, False)])
def test_short_gaps_are_closed_and_told(missing, same):
    steady = [(40, 70)]
    links = linked(film([(20, 20), *steady], *[steady] * missing, [(21, 21), *steady]))
    last = links.table[links.table["frame"] == missing + 1].sort_values("row")["id"].tolist()
    assert (last[0] == 1) == same
    assert links.gaps.to_numpy().tolist() == ([[1, 0, missing + 1]] if same else [])


def test_a_frame_without_any_nucleus():
    links = linked(film([(20, 20)], [], [(20, 21)]))
    assert ids(links) == {0: [1], 2: [1]}
    assert linked(film([], [])).table.empty


DIVISION = ([(30, 40, 14)],) * 2 + ([(30, 34, 10), (30, 46, 10)],) * 2


def test_a_division_ends_the_mother_and_gives_each_daughter_an_id():
    links = linked(film(*DIVISION))
    assert ids(links) == {0: [1], 1: [1], 2: [2, 3], 3: [2, 3]}
    assert links.divisions.to_numpy().tolist() == [[1, 2, 2], [1, 3, 2]]
    found = flags(film(*DIVISION))
    dividing = [key for key, value in found.items() if value == "division"]
    assert dividing == [(1, 1), (2, 2), (2, 3)]
    assert not any(value for key, value in found.items() if key not in dividing)


def test_a_fragment_is_no_daughter():
    whole, broken = [(30, 40, 16)], [(30, 39, 14), (30, 49, 4)]
    links = linked(film(whole, broken, broken, whole))
    assert links.divisions.empty
    assert links.table.groupby("id")["frame"].nunique()[1] == 4


def test_a_pair_for_one_frame_only_is_no_division():
    links = linked(film([(30, 40, 14)], [(30, 34, 10), (30, 45, 10)], [(30, 34, 10)], [(30, 34, 10)]))
    assert links.divisions.empty


def test_a_given_frame_names_the_tracks():
    labels = film([(20, 20), (20, 60), (45, 40)], [(20, 20), (20, 60)], [(20, 20), (20, 60), (45, 40)])
    labels[1] = np.array([0, 9, 3])[labels[1]]
    # the third is missing in the given frame: it gets a number of its own
    assert ids(linked(labels, named=[1])) == {0: [9, 3, 10], 1: [3, 9], 2: [9, 3, 10]}


def test_the_first_given_frame_wins_and_no_id_is_given_twice():
    labels = film([(20, 20), (20, 60)], [(20, 20), (20, 60), (45, 40)])
    labels[0] = np.array([0, 5, 6])[labels[0]]
    labels[1] = np.array([0, 6, 5, 7])[labels[1]]
    assert ids(linked(labels, named=[0, 1])) == {0: [5, 6], 1: [6, 5, 7]}


def test_what_comes_and_goes():
    inside, border = (30, 45), (30, 2)
    found = flags(film([inside], [inside, border, (15, 70)], [(15, 70), border], [border, (15, 70)], [(30, 80)]))
    assert found[0, 1] == ""
    assert found[1, 1] == "lost"
    assert found[1, 2] == "edge;entered" or found[1, 3] == "edge;entered"
    assert sorted(value for (frame, _), value in found.items() if frame == 1) == ["edge;entered", "late", "lost"]
    assert sorted(value for (frame, _), value in found.items() if frame == 3) == ["edge;left", "lost"]
    assert [value for (frame, _), value in found.items() if frame == 4] == ["entered"]  # 9 px from the border


def test_touching_and_jumps():
    steady = [(10, 70), (45, 75)]
    labels = film([(30, 30), *steady], [(30, 30, 17), *steady], [(30, 38, 17), *steady])
    found = flags(labels)
    assert [found[frame, 1] for frame in range(3)] == ["", "jump", "jump"]  # twice the area; 8 px
    labels[0, 30:40, 36:40] = 9
    assert "touching" in flags(labels)[0, 1]


def test_drift_of_the_stage_is_no_jump():
    start = np.array([(12, 12), (12, 40), (40, 20), (40, 60)])
    labels = film(*[[tuple(place) for place in start + 7 * time] for time in range(2)])
    assert not any("jump" in value for value in flags(labels).values())


def test_a_bridge_is_the_last_outline_moved_to_where_it_is_free():
    before = np.zeros((6, 8), int)
    before[2:4, 1:5] = 5
    labels = np.zeros((6, 8), int)
    labels[:, 5:] = 2
    mask = bridge(labels, before, 5, np.array([0.6, 1.4]))
    assert np.argwhere(mask).tolist() == [[row, column] for row in (3, 4) for column in (2, 3, 4)]
    assert not bridge(labels, before, 5, np.array([0, 3.0])).any()  # one column of four is free
    assert bridge(labels, before, 5, np.array([-3.0, 0])).sum() == 4  # half of it is outside
