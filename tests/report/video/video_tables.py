"""A small film and its tables, with known half-times."""

import numpy as np
import pandas as pd

from lexy.report.video.overlay import Film

SIDE = 40


def labels_of(frame):
    """Two squares: id 7 stands still, id 300 moves one pixel to the right with each frame."""
    labels = np.zeros((SIDE, SIDE), np.int32)
    labels[4:14, 4:14] = 7
    labels[20:30, 10 + frame : 20 + frame] = 300
    return labels


def film(frames=6, interval=20.0):
    def frame(at):
        return np.where(labels_of(at) > 0, 200.0, 100.0).astype(np.float32) + at

    return Film(frame, labels_of, frames, interval)


def tables(cells=4, frames=6, interval=20.0, unit="s"):
    """Nucleus i has N/C 1 + i in every frame; half-times of 30 + i and 60 + i; the last one is not trusted."""
    known = np.arange(cells, dtype=float)
    rows = [
        (i + 1, t, t * interval if unit == "s" else np.nan, 1.0 + i, "edge" if i == 0 else "")
        for i in range(cells)
        for t in range(frames)
    ]
    nuclei = pd.DataFrame(rows, columns=["id", "frame", "seconds", "nc", "flags"]).assign(video="v")
    fits = pd.DataFrame({"id": np.arange(1, cells + 1), "frames": frames}).assign(
        **{"video": "v", "light_on": 20.0, "light_off": 60.0, "light": "found", "baseline": 1.5, "r2": 0.9},
        **{"export_amplitude": 0.5, "export_half_time": 30 + known, "return_amplitude": 0.4, "unit": unit},
        **{"export_half_time_low": 20 + known, "export_half_time_high": 45 + known, "return_half_time": 60 + known},
        **{"return_half_time_low": 50 + known, "return_half_time_high": 1234 + known},
        trust=[*[True] * (cells - 1), False],
        reason=[*[""] * (cells - 1), "R² < 0.5 & <b>"],
    )
    return nuclei, fits
