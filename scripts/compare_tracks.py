"""Measure how well `lexy-predict` follows the nuclei of a field with known nuclei.

    python scripts/compare_tracks.py RESULT/labels.ome.tif reference.tif VIDEO --diameter 16 [--leave-out cells.csv]

The reference has instance labels that need not be linked over time. Followed are its nuclei that overlap from frame to
frame by an IoU above 0.5, from the first frame to the last. Of these are counted: found in the first frame, in the last
(IoU > 0.5), and in both under one id. The mean N/C curves of both are compared, each over its own followed nuclei.
`--leave-out` (columns row, column, window, in pixels) names windows that are scored apart: those that a network was
trained on, or those that were left out of its training.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from lexy.evaluation.instances import iou_matrix
from lexy.io.video import open_video
from lexy.predict.measure import measure

Labels = NDArray[np.integer]
IOU = 0.5


def pairs(one: Labels, other: Labels) -> dict[int, int]:
    """Return pairs of instances with an IoU above `IOU`; above one half, each has at most one partner."""
    matrix = iou_matrix(one, other)
    numbers, others = (np.unique(labels[labels > 0]) for labels in (one, other))
    return {int(numbers[i]): int(others[j]) for i, j in np.argwhere(matrix > IOU)}


def followed(reference: Labels) -> list[list[int]]:
    """Return the instances, frame by frame, of each nucleus that overlap alone follows through all frames."""
    steps = [pairs(a, b) for a, b in pairwise(reference)]
    chains = [[int(number)] for number in np.unique(reference[0]) if number]
    for step in steps:
        chains = [[*chain, step[chain[-1]]] for chain in chains if chain[-1] in step]
    return chains


def mean_curve(
    frames: list[NDArray[np.float32]], labels: Labels, tracks: list[list[int]], diameter: float
) -> pd.Series:
    """Return the mean N/C of tracks, frame by frame."""
    means = {}
    for time, frame in enumerate(frames):
        table = measure(frame, labels[time], diameter).set_index("id")
        means[time] = table["nc"].reindex([track[time] for track in tracks]).mean()
    return pd.Series(means)


def inside(labels: Labels, windows: pd.DataFrame) -> set[int]:
    """Return the instances whose centroid lies in a window."""
    found: set[int] = set()
    for number in np.unique(labels[labels > 0]):
        row, column = (float(axis.mean()) for axis in np.nonzero(labels == number))
        near = (abs(windows["row"] - row) <= windows["window"] / 2) & (
            abs(windows["column"] - column) <= windows["window"] / 2
        )
        found |= {int(number)} if near.any() else set()
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--diameter", type=float, required=True, help="of a typical nucleus, pixels")
    parser.add_argument("--leave-out", type=Path, help="CSV of windows: row, column, window")
    arguments = parser.parse_args()
    labels, reference = tifffile.imread(arguments.labels), tifffile.imread(arguments.reference)
    with open_video(arguments.video) as video:
        frames = [video.read(frame) for frame in range(video.n_frames)]
    chains = followed(reference)
    first, last = pairs(reference[0], labels[0]), pairs(reference[-1], labels[-1])
    parts = {"all": chains}
    if arguments.leave_out:
        within = inside(reference[0], pd.read_csv(arguments.leave_out))
        parts = {"outside the windows": [c for c in chains if c[0] not in within]}
        parts["inside the windows"] = [c for c in chains if c[0] in within]
    for name, part in parts.items():
        starts, ends = [c for c in part if c[0] in first], [c for c in part if c[-1] in last]
        both = [c for c in part if c[0] in first and c[-1] in last and first[c[0]] == last[c[-1]]]
        share = len(both) / max(1, len(part))
        counts = f"found first {len(starts)}, last {len(ends)}, both under one id {len(both)} ({share:.0%})"
        print(f"{name}: {len(part)} followed; {counts}")
    truth = mean_curve(frames, reference, chains, arguments.diameter)
    ids = sorted(set(np.unique(labels[0])) & set(np.unique(labels[-1])) - {0})
    found = mean_curve(frames, labels, [[int(number)] * len(frames) for number in ids], arguments.diameter)
    error = float((found - truth).abs().mean())
    print(f"mean N/C of {len(ids)} nuclei: correlation {np.corrcoef(truth, found)[0, 1]:.3f}, mean error {error:.3f}")
    print(f"nuclei in frame 0: {len(np.unique(labels[0])) - 1}, reference {len(np.unique(reference[0])) - 1}")


if __name__ == "__main__":
    main()
