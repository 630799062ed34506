"""From segmented frames to the tables of nuclei and of fits."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lexy.evaluation.half_times import ExchangeFit, find_light, fit_exchange, usable
from lexy.io.video import Video
from lexy.predict.measure import measure
from lexy.predict.pipeline import Segmentation

SHORT = 0.8  # share of the frames that a nucleus must be followed for
UNSURE = 0.3  # mean confidence below which masks are little more than a guess


@dataclass(frozen=True)
class Light:
    """When it goes on and off, in seconds, or in frames if the interval is not known.

    Attributes
    ----------
    on, off : float
        `off` is infinite where it stays on.
    given : bool
        By the user; else found in the median curve.
    """

    on: float
    off: float
    given: bool


def nuclei_table(video: Video, segmentation: Segmentation) -> pd.DataFrame:
    """Measure the video; return one row for each nucleus and frame.

    Returns
    -------
    DataFrame
        `video`, `id`, `frame`, `seconds`, `row`, `column` (centroid, pixels), `area_px`, `area_um2`, `nuclear`, `ring`,
        `background`, `nc`, `confidence`, `flags`; by id and frame. What is not known is NaN.
    """
    measured = []
    for frame in range(video.n_frames):
        rows = measure(video.read(frame), segmentation.labels(frame), segmentation.scale.diameter)
        measured.append(rows.drop(columns="area_px").assign(frame=frame))
    table = segmentation.table.merge(pd.concat(measured), on=["id", "frame"], how="left", validate="one_to_one")
    table["video"], table["seconds"] = video.name, table["frame"] * video.interval
    table["area_um2"] = table["area_px"] * video.pixel_size**2
    columns = ["video", "id", "frame", "seconds", "row", "column", "area_px", "area_um2", "nuclear", "ring"]
    columns += ["background", "nc", "confidence", "flags"]
    return table[columns].sort_values(["id", "frame"], ignore_index=True)


def time_column(nuclei: pd.DataFrame) -> str:
    """Return `seconds` where the interval is known, else `frame`."""
    return "seconds" if nuclei["seconds"].notna().all() else "frame"


def median_ratio(nuclei: pd.DataFrame) -> "pd.Series[float]":
    """Return the median N/C by time, of the nuclei followed through most of the video, or of all if there are none."""
    lengths = nuclei.groupby("id")["nc"].transform("count")
    long = nuclei[lengths >= SHORT * nuclei["frame"].nunique()]
    chosen = nuclei if long.empty else long
    return chosen[usable(chosen)].groupby(time_column(nuclei))["nc"].median()


def light_of(nuclei: pd.DataFrame, on: float | None, off: float | None) -> Light:
    """Return the light as given, or as the median curve shows it: all nuclei of a video see the same."""
    if on is not None:
        return Light(on, math.inf if off is None else off, given=True)
    curve = median_ratio(nuclei)
    return Light(*find_light(curve.index.to_numpy(float), curve.to_numpy(float)), given=False)


def cells_table(nuclei: pd.DataFrame, light: Light, n_frames: int) -> pd.DataFrame:
    """Fit each nucleus; return one row for each.

    Returns
    -------
    DataFrame
        `video`, `id`, `frames`, `unit` ('s' or 'frame'), `light` ('given' or 'found'), and the fields of `ExchangeFit`.
    """
    rows = []
    for number, track in nuclei.groupby("id"):
        fit = _fit(track, time_column(nuclei), light, n_frames)
        rows.append(
            {
                "video": track["video"].iloc[0],
                "id": number,
                "frames": len(track),
                "unit": "s" if time_column(nuclei) == "seconds" else "frame",
                "light": "given" if light.given else "found",
                **fit._asdict(),
            }
        )
    return pd.DataFrame(rows, columns=["video", "id", "frames", "unit", "light", *ExchangeFit._fields])


def mean_fit(nuclei: pd.DataFrame, cells: pd.DataFrame, light: Light) -> ExchangeFit:
    """Fit the mean curve of the trusted nuclei, or of all if none is."""
    trusted = nuclei["id"].isin(cells.loc[cells["trust"].astype(bool), "id"])
    chosen = nuclei[trusted] if trusted.any() else nuclei
    curve = chosen[usable(chosen)].groupby(time_column(nuclei))["nc"].mean()
    return fit_exchange(curve.index.to_numpy(float), curve.to_numpy(float), light.on, light.off)


def _fit(track: pd.DataFrame, time: str, light: Light, n_frames: int) -> ExchangeFit:
    if math.isnan(light.on):
        return ExchangeFit(math.nan, math.nan, reason="no light was given and none is seen in so few frames")
    flags = track["flags"].str.split(";")
    ratio = np.where(usable(track), track["nc"], np.nan).astype(float)
    fit = fit_exchange(track[time].to_numpy(float), ratio, light.on, light.off)
    doubts = [fit.reason] if fit.reason else []
    if len(track) < SHORT * n_frames:
        doubts.append(f"followed for {len(track)} of {n_frames} frames")
    if track["confidence"].mean() < UNSURE:
        doubts.append(f"its mask is unsure (confidence {track['confidence'].mean():.2f})")
    if flags.map(lambda names: "division" in names).any():
        doubts.append("it divides")
    return fit._replace(trust=not doubts, reason="; ".join(doubts))
