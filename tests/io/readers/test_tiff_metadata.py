import math

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from lexy.io.readers.tiff_metadata import physical


@settings(max_examples=20)
@given(size=st.floats(0.01, 50), interval=st.floats(0.1, 5000), unit=st.sampled_from(["µm", "nm", "mm"]))
def test_scale_of_ome(tmp_path_factory, size, interval, unit):
    path = tmp_path_factory.mktemp("ome") / "a.ome.tif"
    facts = {"PhysicalSizeX": size, "PhysicalSizeXUnit": unit, "TimeIncrement": interval, "TimeIncrementUnit": "ms"}
    tifffile.imwrite(path, np.zeros((2, 16, 24), np.uint8), metadata={"axes": "TYX"} | facts)
    with tifffile.TiffFile(path) as tif:
        found = physical(tif)
    factor = {"µm": 1, "nm": 1e-3, "mm": 1e3}[unit]
    assert found == pytest.approx((size * factor, interval / 1000))


@settings(max_examples=20)
@given(
    size=st.floats(0.01, 50),
    interval=st.floats(0.1, 5000),
    unit=st.sampled_from([("micron", 1), ("\\u00B5m", 1), ("um", 1), ("nm", 1e-3), ("cm", 1e4), ("inch", 25400)]),
    time=st.sampled_from([("sec", 1), ("ms", 1e-3), ("min", 60)]),
)
def test_scale_of_imagej(tmp_path_factory, size, interval, unit, time):
    path = tmp_path_factory.mktemp("imagej") / "a.tif"
    stack = np.zeros((2, 4, 4), np.uint8)
    facts = {"axes": "TYX", "unit": unit[0], "finterval": interval, "tunit": time[0]}
    tifffile.imwrite(path, stack, imagej=True, resolution=(1 / size, 1 / size), metadata=facts)
    with tifffile.TiffFile(path) as tif:
        assert physical(tif) == pytest.approx((size * unit[1], interval * time[1]), rel=1e-5)


@pytest.mark.parametrize("facts", [{"unit": "pixel", "finterval": 0}, {"unit": "micron", "tunit": "moon"}])
def test_units_that_are_none(tmp_path, facts):
    stack, resolution = np.zeros((2, 4, 4), np.uint8), (0, 0) if facts["unit"] == "micron" else (4, 4)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, resolution=resolution, metadata={"axes": "TYX"} | facts)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert all(math.isnan(value) for value in physical(tif))


def test_a_file_that_does_not_say(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 4, 4), np.uint8))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert all(math.isnan(value) for value in physical(tif))
