import numpy as np
import pytest

from lexy.predict.regions import region_table


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


def test_no_regions():
    assert region_table(np.zeros((6, 10), int), np.zeros((6, 10))).empty
