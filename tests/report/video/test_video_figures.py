import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import t as student
from video_tables import SIDE, film, tables

from lexy.report.themes import DARK, LIGHT, png
from lexy.report.video.figures import (
    draw_conditions,
    draw_curves_of_cells,
    draw_film_strip,
    draw_half_times,
    draw_overlay_frame,
    mean_curve,
    time_unit,
)
from lexy.report.video.overlay import BAR, CLEAR, GREYS


def line(figure, start):
    return next(one for one in figure.axes[0].lines if str(one.get_label()).startswith(start))


def test_band_is_students_interval_over_nuclei():
    nuclei, _ = tables()
    curve = mean_curve(nuclei, "seconds")
    half = student.ppf(0.975, 3) * np.std([1, 2, 3, 4], ddof=1) / 2
    np.testing.assert_allclose(curve[["mean", "low", "high"]], [[2.5, 2.5 - half, 2.5 + half]] * 6)
    assert (curve["n"] == 4).all()
    lonely = mean_curve(nuclei[nuclei["id"] == 1], "seconds")
    assert lonely["low"].isna().all()
    assert (lonely["mean"] == 1).all()


def test_the_mean_is_that_of_the_trusted_nuclei():
    nuclei, cells = tables()
    nuclei["flags"] = ""
    figure = draw_curves_of_cells(nuclei, cells)
    np.testing.assert_allclose(line(figure, "mean (3 trusted)").get_ydata(), 2)
    np.testing.assert_allclose(line(figure, "mean (3 trusted)").get_xdata(), np.arange(6) * 20)
    assert len(figure.axes[0].collections[0].get_segments()) == 4
    figure = draw_curves_of_cells(nuclei, cells.assign(trust=False))
    np.testing.assert_allclose(line(figure, "mean (all 4, none is trusted)").get_ydata(), 2.5)


@pytest.mark.parametrize("nothing", ["", np.nan])  # as made, as read back from a file
def test_frames_that_are_not_fitted_are_not_in_the_mean(nothing):
    nuclei, cells = tables()
    cut = (nuclei["id"] == 1) & (nuclei["frame"] < 2)
    nuclei["flags"] = ["touching;edge" if one else nothing for one in cut]
    mean = line(draw_curves_of_cells(nuclei, cells), "mean (3 trusted)")
    np.testing.assert_allclose(mean.get_ydata(), [2.5, 2.5, 2, 2, 2, 2])


def test_light_that_stays_on_is_shaded_to_the_end():
    nuclei, cells = tables(frames=5)
    axes = draw_curves_of_cells(nuclei, cells.assign(light_off=np.inf)).axes[0]
    light = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    np.testing.assert_allclose([light.x0, light.x1], [20, 80])


def test_light_and_fit_are_drawn_in_the_unit_of_the_axis():
    nuclei, cells = tables(frames=30)
    figure = draw_curves_of_cells(nuclei, cells, np.array([[0.0, 2.0], [580.0, 1.0]]))
    axes = figure.axes[0]
    light = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert axes.get_xlabel() == "time (min)"
    np.testing.assert_allclose([light.x0, light.x1], [20 / 60, 1])
    np.testing.assert_allclose(line(figure, "fit").get_xdata(), [0, 580 / 60])
    assert axes.patches[0].get_label() == "light (found)"
    dark = draw_curves_of_cells(nuclei, cells.assign(light_on=np.nan, light_off=np.nan))
    assert not dark.axes[0].patches


def test_without_interval_time_is_in_frames():
    nuclei, cells = tables(unit="frame")
    figure = draw_curves_of_cells(nuclei, cells)
    assert figure.axes[0].get_xlabel() == "frame"
    np.testing.assert_array_equal(line(figure, "mean").get_xdata(), np.arange(6))
    assert draw_half_times(cells).axes[0].get_ylabel() == "half-time (frames)"


def test_wild_values_do_not_stretch_the_axis_and_are_told():
    nuclei, cells = tables(frames=200)
    nuclei.loc[5, "nc"] = 900.0
    axes = draw_curves_of_cells(nuclei, cells).axes[0]
    assert axes.get_ylim()[1] < 20
    assert [text.get_text() for text in axes.texts] == ["1 of 800 values lie outside"]


def test_half_times_are_counted_by_trust():
    _, cells = tables()
    cells.loc[3, "export_half_time"] = 4000.0
    cells.loc[0, "return_half_time"] = np.nan
    axes = draw_half_times(cells).axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["export\n3 trusted\n1 untrusted\n(1 beyond)", "return\n2 trusted\n1 untrusted\n1 without"]
    assert axes.get_ylim()[1] < 100


@pytest.mark.parametrize("trust", [True, False])
def test_cells_without_any_fit_can_be_drawn(trust):
    _, cells = tables()
    cells = cells.assign(export_half_time=np.nan, return_half_time=np.nan, trust=trust)
    label = draw_half_times(cells).axes[0].get_xticklabels()[0].get_text()
    assert label == "export\n0 trusted\n0 untrusted\n4 without"


def test_time_unit():
    _, seconds = tables()
    _, frames = tables(unit="frame")
    assert [time_unit(seconds, 180), time_unit(seconds, 181), time_unit(frames, 1e6)] == [
        ("s", 1),
        ("min", 60),
        ("frames", 1),
    ]


def test_themes_differ_in_paper_and_ink():
    nuclei, cells = tables()
    light, dark = (
        np.asarray(Image.open(io.BytesIO(png(lambda: draw_curves_of_cells(nuclei, cells), theme))).convert("L"))
        for theme in (LIGHT, DARK)
    )
    assert light[0, 0] == 255
    assert dark[0, 0] < 40
    assert dark.max() > 200


def test_conditions_with_and_without_interval():
    rows = [
        ("a $x^2$", "export_half_time", 80.0, 60.0, 90.0, 4, 120),
        ("b", "export_half_time", 50.0, *[np.nan] * 2, 1, 9),
    ]
    summary = pd.DataFrame(rows, columns=["condition", "quantity", "mean", "low", "high", "replicates", "cells"])
    figure = draw_conditions(summary)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "a $x^2$\n4 repl., 120 cells",
        "b\n1 repl., 9 cells",
    ]
    segments = axes.collections[0].get_segments()
    np.testing.assert_allclose(segments[0], [[60, 0], [90, 0]])
    assert axes.get_xlabel() == "export half time"
    assert png(lambda: draw_conditions(summary), LIGHT).startswith(b"\x89PNG")


def test_film_strip_holds_frames_in_rows():
    strip = draw_film_strip(film(20), count=5, width=SIDE, across=3)
    assert strip.size == (3 * (SIDE + 6) - 6, 2 * (SIDE + BAR + 6) - 6)
    pixels = np.asarray(strip)
    np.testing.assert_array_equal(pixels[: SIDE + BAR, :SIDE], film(20).render_with_time(0, SIDE))
    last = slice(SIDE + 6, 2 * SIDE + 6)
    np.testing.assert_array_equal(pixels[SIDE + BAR + 6 :, last], film(20).render_with_time(19, SIDE))
    assert (pixels[SIDE + BAR + 6 :, 2 * SIDE + 12 :] == CLEAR).all()
    assert draw_film_strip(film(1), width=SIDE).size == (SIDE, SIDE + BAR)


def test_ids_are_written_in_their_nuclei():
    frame = np.asarray(draw_overlay_frame(film(), 0, width=10 * SIDE))
    bare = film().render(0, 10 * SIDE)
    changed = np.argwhere(frame != bare)
    assert len(changed) > 20
    assert (frame[tuple(changed.T)] < GREYS).all()
    in_nuclei = np.kron(film().labels(0) > 0, np.ones((10, 10), bool))
    assert in_nuclei[tuple(changed.T)].mean() > 0.95
