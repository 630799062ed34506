"""Write the result files of one predicted video."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from lexy.evaluation.half_times import fitted_curve
from lexy.io.label_video import write_label_video
from lexy.predict.segmenter import Prediction
from lexy.report.video.overlay import Film, write_gif, write_mp4
from lexy.report.video.page import write_video_page

FILES = {
    "labels.ome.tif": "masks: one number for each nucleus, the same over time (Fiji, napari)",
    "nuclei.csv": "every nucleus in every frame",
    "cells.csv": "the fit of every nucleus",
}


def write_prediction(result: Prediction, folder: Path, film: Literal["gif", "mp4"]) -> None:
    """Write labels, tables, film, pictures and page into an existing folder."""
    most = int(result.nuclei["id"].max()) if len(result.nuclei) else 0
    write_label_video(folder / "labels.ome.tif", map(result.labels, range(result.n_frames)), result.video, most)
    result.nuclei.to_csv(folder / "nuclei.csv", index=False)
    result.cells.to_csv(folder / "cells.csv", index=False)
    shown = Film(result.frame, result.labels, result.n_frames, result.video.interval)
    overlay = write_gif(shown, folder / "overlay.gif")
    files = dict(FILES)
    if film == "mp4":
        files[write_mp4(shown, folder / "overlay.mp4").name] = "the film with every frame"
    facts: Any = {"video": result.video.name, "warnings": result.warnings, "done": result.facts}
    curve = _mean_curve(result)
    page = folder / "page.html"
    write_video_page(page, shown, result.nuclei, result.cells, facts, fit=curve, overlay=overlay, files=files)


def _mean_curve(result: Prediction) -> Any:
    """Return times and N/C (400, 2) of the fit of the mean curve; None if there is no fit."""
    if not np.isfinite(result.mean.export_half_time):
        return None
    times = result.nuclei["frame"] if result.cells["unit"].iloc[0] == "frame" else result.nuclei["seconds"]
    time = np.linspace(float(times.min()), float(times.max()), 400)
    return np.stack([time, fitted_curve(time, result.mean)], axis=1)
