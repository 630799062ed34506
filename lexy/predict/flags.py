"""What a user should know of a nucleus in a frame before trusting it."""

import numpy as np
import pandas as pd

AREA_JUMP = 1.5  # growing or shrinking by more than this factor from one frame to the next
SHIFT_JUMP = 0.5  # of a nucleus' diameter, beyond what all nuclei move
FLAGS = ("edge", "touching", "entered", "left", "lost", "late", "division", "jump", "filled")


def flagged(
    table: pd.DataFrame, divisions: pd.DataFrame, n_frames: int, shape: tuple[int, int], diameter: float
) -> pd.DataFrame:
    """Add the column `flags` to a table of nuclei.

    Parameters
    ----------
    table : DataFrame
        frame, id, row, column, area_px, confidence; bool: edge, touching, filled.
    divisions : DataFrame
        See `lexy.predict.linking.Links`.
    n_frames : int
    shape : tuple of int
        Height and width of a frame.
    diameter : float
        Of a typical nucleus, pixels. A track that begins or ends less than this from the border has `entered` or
        `left`, not come up `late` or been `lost`.

    Returns
    -------
    DataFrame
        frame, id, row, column, area_px, confidence, flags (those of `FLAGS` that hold, joined by `;`), by frame and id.
    """
    table = table.sort_values(["id", "frame"], ignore_index=True)
    begins, ends = ~table["id"].duplicated(), ~table["id"].duplicated(keep="last")
    begins, ends = begins & (table["frame"] > 0), ends & (table["frame"] < n_frames - 1)
    to_border = np.minimum(
        table[["row", "column"]].min(axis=1), (np.array(shape) - 1 - table[["row", "column"]]).min(axis=1)
    )
    near = table["edge"] | (to_border < diameter)
    born, dividing = begins & table["id"].isin(divisions["daughter"]), ends & table["id"].isin(divisions["mother"])
    holds = table[["edge", "touching", "filled"]].assign(
        entered=begins & near & ~born,
        late=begins & ~near & ~born,
        left=ends & near & ~dividing,
        lost=ends & ~near & ~dividing,
        division=born | dividing,
        jump=_jumps(table, diameter),
    )
    names = np.array(FLAGS)
    flags = [";".join(names[row]) for row in holds[list(FLAGS)].to_numpy(bool)]
    columns = ["frame", "id", "row", "column", "area_px", "confidence", "flags"]
    return table.assign(flags=flags)[columns].sort_values(["frame", "id"], ignore_index=True)


def _jumps(table: pd.DataFrame, diameter: float) -> pd.Series:
    """Return which rows, sorted by id and frame, follow from the one before in no plausible way, or after a gap."""
    before = table.groupby("id").shift()
    follows = before["frame"].notna()
    steps = table[["row", "column"]] - before[["row", "column"]]
    moving = steps.groupby(table["frame"])
    # One or two nuclei cannot tell their own leap from a drift of all.
    drift = moving.transform("median").where(moving.transform("count") > 2, 0.0)
    far = np.hypot(*(steps - drift).to_numpy().T) > SHIFT_JUMP * diameter
    change = np.abs(np.log(table["area_px"] / before["area_px"]))
    cut = table["edge"] | before["edge"].eq(True)  # a nucleus that enters or leaves changes its area
    gap = table["frame"] - before["frame"] > 1
    jumps: pd.Series = follows & (far | (~cut & (change > np.log(AREA_JUMP))) | gap)
    return jumps
