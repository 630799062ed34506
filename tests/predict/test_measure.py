import importlib

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.draw import disk

from lexy.data import phantom
from lexy.images.nc_ratio import nuclear_ratio
from lexy.predict import measure as module
from lexy.predict.measure import dark_ids, measure

DIAMETER = 43.0  # here the ring is 2 to 6 px


def discs(*centres, radius=8, shape=(64, 80)):
    labels = np.zeros(shape, np.int32)
    for number, centre in enumerate(centres, start=1):
        labels[disk(centre, radius, shape=shape)] = number
    return labels


@given(seed=st.integers(0, 50), radius=st.integers(2, 20))
def test_one_nucleus_is_measured_as_in_every_other_table(seed, radius):
    frame = np.random.default_rng(seed).random((64, 80)).astype(np.float32)
    labels = discs((30, 40), radius=radius)
    (row,) = measure(frame, labels, DIAMETER).itertuples()
    ratio = nuclear_ratio(torch.from_numpy(frame)[None], torch.from_numpy(labels > 0)[None])
    assert row.nc == pytest.approx(float(ratio), rel=1e-6)
    assert row.area_px == (labels == 1).sum()
    assert row.nuclear == pytest.approx(frame[labels == 1].mean(), rel=1e-6)


def test_the_ring_of_a_nucleus_holds_nothing_of_another():
    labels = discs((30, 20), (30, 40))
    frame = np.where(labels == 2, 100.0, np.where(labels == 1, 3.0, 2.0))
    frame[0] = 1.0  # more than a hundredth of the frame: its background
    table = measure(frame, labels, DIAMETER)
    assert table["ring"].tolist() == [2.0, 2.0]
    assert table["nc"].tolist() == [2.0, 99.0]


def test_the_ring_grows_with_the_nuclei():
    labels = discs((30, 40), radius=6)
    frame = np.ones((64, 80))
    frame[labels > 0] = 5.0
    frame[~discs((30, 40), radius=9).astype(bool) & (labels == 0)] = 2.0
    frame[0] = 0.0
    assert measure(frame, labels, 12.0)["ring"].item() == pytest.approx(1.0, abs=0.1)
    assert measure(frame, labels, 60.0)["ring"].item() > 1.8


def test_the_size_of_generated_nuclei_changes_no_measurement(monkeypatch):
    frame, labels = np.random.default_rng(0).random((64, 80)), discs((30, 40))
    before = measure(frame, labels, DIAMETER)
    monkeypatch.setattr(phantom, "DIAMETER", 20.0)
    pd.testing.assert_frame_equal(importlib.reload(module).measure(frame, labels, DIAMETER), before)


def test_what_cannot_be_measured_is_nan():
    labels = np.ones((20, 20), np.int32)
    (row,) = measure(np.ones((20, 20)), labels, DIAMETER).itertuples()
    assert np.isnan(row.ring)
    assert np.isnan(row.nc)
    dark = discs((30, 40))
    (row,) = measure(np.where(dark > 0, 2.0, 1.0), dark, DIAMETER).itertuples()
    assert row.ring == 1.0
    assert np.isnan(row.nc)  # the ring is no brighter than the background


def test_no_nucleus_is_no_row():
    table = measure(np.ones((20, 20)), np.zeros((20, 20), np.int32), DIAMETER)
    assert table.empty
    assert table.columns.tolist() == ["id", "area_px", "nuclear", "ring", "background", "nc"]


def test_a_ring_as_dark_as_the_background_is_no_measure():
    labels = discs((30, 40))
    frame = np.where(labels == 1, 130.0, 99.998)
    frame[0] = 99.99
    assert measure(frame, labels, DIAMETER)["nc"].isna().all()


def test_what_lies_where_the_frame_is_empty_is_told_from_faint_cells():
    noise = np.random.default_rng(0).normal(100, 10, (64, 80))
    labels = discs((30, 20), (30, 60))
    cell = noise + 25.0 * (np.hypot(*(np.indices(noise.shape) - np.array([30, 20])[:, None, None])) < 16)
    assert dark_ids(cell, measure(cell, labels, DIAMETER)).tolist() == [2]  # nucleus 1 is as bright as its cytoplasm
