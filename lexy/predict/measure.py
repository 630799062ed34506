"""How bright each nucleus of a frame is beside the cytoplasm around it."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lexy.images.rings import INNER, NUCLEUS_DIAMETER, OUTER, background, label_rings

MOST = 100.0  # N/C above which a ring is too dark to measure against
EMPTY = 2.33  # standard deviations of the pixel noise from the background to the mean of an empty place
SURE = 4.0  # standard errors of a nucleus' mean above that, for it to be something


def measure(frame: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], diameter: float) -> pd.DataFrame:
    """Measure the intensities of every nucleus: those of `lexy.images.nc_ratio.nuclear_ratio`, for all at once.

    A nucleus' ring are the pixels between 2 and 6 px from it at the scale where nuclei are 43 px wide, so far as no
    other nucleus is nearer to them or within 2 px. The background is one for the frame, its 1st percentile.

    Parameters
    ----------
    frame : ndarray of float, (H, W)
        As the camera gave it.
    labels : ndarray of int, (H, W)
        0 = background.
    diameter : float
        Of a typical nucleus, pixels.

    Returns
    -------
    DataFrame
        Ascending by `id`: `area_px`; `nuclear` and `ring`, means as the camera gave them; `background`; `nc`, the ratio
        of the first two above the background. `ring` and `nc` are NaN where a nucleus has no ring, `nc` also where its
        ring is not brighter than the background, or less than a `MOST`th as much as the nucleus.
    """
    inner, outer = (max(1.0, length * diameter / NUCLEUS_DIAMETER) for length in (INNER, OUTER))
    outer = max(outer, inner + 1)
    image = frame.astype(np.float64)
    ids = np.unique(labels)
    ids = ids[ids > 0]
    dark = float(background(image))
    nuclear, cytoplasm = _means(image, labels, ids), _means(image, label_rings(labels, inner, outer), ids)
    above = cytoplasm - dark
    ratio = np.divide(
        nuclear - dark,
        above,
        out=np.full(len(ids), np.nan),
        where=above > np.maximum(0, nuclear - dark) / MOST,
    )
    area = np.bincount(labels.ravel(), minlength=int(ids.max(initial=0)) + 1)[ids]
    return pd.DataFrame(
        {"id": ids, "area_px": area, "nuclear": nuclear, "ring": cytoplasm, "background": dark, "nc": ratio}
    )


def dark_ids(frame: NDArray[np.floating[Any]], measured: pd.DataFrame) -> NDArray[np.intp]:
    """Return the nuclei that lie where the frame is empty: neither they nor their rings stand out of the noise.

    Parameters
    ----------
    frame : ndarray of float, (H, W)
    measured : DataFrame
        As `measure` gives it.

    Returns
    -------
    ndarray of int
        Ids.
    """
    steps = np.diff(frame.astype(np.float64), axis=1)
    noise = 1.4826 * np.median(np.abs(steps - np.median(steps))) / np.sqrt(2)
    above = measured[["nuclear", "ring"]].max(axis=1) - measured["background"]
    empty = above <= noise * (EMPTY + SURE / np.sqrt(measured["area_px"]))
    ids: NDArray[np.intp] = measured.loc[empty, "id"].to_numpy()
    return ids


def _means(
    image: NDArray[np.float64], regions: NDArray[np.integer[Any]], ids: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Return the mean of the image in each region, NaN for those without a pixel."""
    length = int(ids.max(initial=0)) + 1
    counts = np.bincount(regions.ravel(), minlength=length)[ids]
    sums = np.bincount(regions.ravel(), weights=image.ravel(), minlength=length)[ids]
    return np.divide(sums, counts, out=np.full(len(ids), np.nan), where=counts > 0)
