"""The same nucleus over time: instances of neighbouring frames linked by laptrack."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from laptrack import LapTrack
from numpy.typing import NDArray

REACH = 0.75  # of a nucleus' diameter: how far a nucleus may move between the frames it is seen in
GAP = 2  # frames that a nucleus may be missing in
SIMILAR = 0.5  # daughters: the smaller one's share of the larger one's area, at least
WHOLE = (0.5, 1.6)  # daughters: their common share of the mother's area
LASTING = 2  # daughters: frames that each of them must be seen in, unless the video ends

Node = tuple[int, int]  # frame, position of the instance in its frame


class Links(NamedTuple):
    """Which instances are the same nucleus.

    Attributes
    ----------
    table : DataFrame
        The regions with a column `id`.
    divisions : DataFrame
        mother, daughter (ids) and frame (the daughter's first); two rows for each division.
    gaps : DataFrame
        id, first, last: a nucleus was seen in these frames and in none between.
    """

    table: pd.DataFrame
    divisions: pd.DataFrame
    gaps: pd.DataFrame


def same_place(
    before: NDArray[np.integer[Any]], after: NDArray[np.integer[Any]], iou: float = 0.5
) -> NDArray[np.int64]:
    """Return the pairs of labels, (pairs, 2), of two frames with a greater IoU.

    From an IoU of 0.5 on, no instance can be in two pairs: what overlaps so far needs no solver.
    """
    both = (before > 0) & (after > 0)
    codes, common = np.unique(before[both].astype(np.int64) << 32 | after[both].astype(np.int64), return_counts=True)
    pairs = np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1)
    sizes = np.bincount(before.ravel())[pairs[:, 0]] + np.bincount(after.ravel())[pairs[:, 1]]
    overlapping: NDArray[np.int64] = pairs[common / (sizes - common) > iou]
    return overlapping


def link(
    regions: pd.DataFrame,
    overlaps: Sequence[NDArray[np.int64]],
    n_frames: int,
    diameter: float,
    named: Iterable[int] = (),
) -> Links:
    """Give instances that are one nucleus one id.

    Instances that overlap by more than half (`same_place`) are the same nucleus. The others are assigned by laptrack
    (Jaqaman et al. 2008), at the least sum of squared distances, at most `REACH` diameters each; then tracks are
    joined over gaps of at most `GAP` frames, and a track that begins beside another one is taken for its daughter. A
    division ends the mother's track, and each daughter has an id of its own. It must look like one: daughters of
    similar size, together about as large as the mother, both lasting; else the nearer one goes on as the mother, and
    the other one begins anew.

    Parameters
    ----------
    regions : DataFrame
        frame, label, row, column, area_px, sorted by frame and label.
    overlaps : sequence of ndarray
        `same_place` of frames t and t + 1, for each t.
    n_frames : int
    diameter : float
        Of a typical nucleus, pixels.
    named : iterable of int
        Frames whose labels are ids already: a track keeps the one that it has in the first of them.

    Returns
    -------
    Links
        Ids count from 1 in the order of first appearance; after the largest given one, where there are such.
    """
    regions = regions.reset_index(drop=True)
    rows: dict[Any, pd.DataFrame] = dict(tuple(regions.groupby("frame")))
    if not rows:
        return Links(regions.assign(id=pd.Series(dtype=np.int64)), *_no_events())
    coordinates = [rows[t][["row", "column"]].to_numpy() if t in rows else np.empty((0, 2)) for t in range(n_frames)]
    place = {key: at for at, key in enumerate(zip(regions["frame"], regions["label"], strict=True))}
    first = {frame: part.index[0] for frame, part in rows.items()}
    sure = [
        ((t, place[t, a] - first[t]), (t + 1, place[t + 1, b] - first[t + 1]))
        for t, pairs in enumerate(overlaps)
        for a, b in pairs.tolist()
    ]
    graph = _tracker(REACH * diameter, diameter).predict(coordinates, connected_edges=sure)
    following = {
        first[t] + at: sorted(first[time] + to for time, to in graph.successors((t, at))) for t, at in graph.nodes
    }
    return _identified(regions, _plausible(following, regions, n_frames, REACH * diameter), named)


def _tracker(reach: float, parting: float) -> LapTrack:
    """Return laptrack with squared distances; daughters part at once by half a diameter each, at most `parting`."""
    settings: dict[str, Any] = {
        "cutoff": reach**2,
        "gap_closing_cutoff": reach**2,
        "gap_closing_max_frame_count": GAP + 1,
        "splitting_cutoff": parting**2,
    }
    return LapTrack(**settings)


def _plausible(
    following: dict[int, list[int]], regions: pd.DataFrame, n_frames: int, reach: float
) -> dict[int, list[int]]:
    """Return the successors of each region: one within reach, two where it divides in a believable way, or none."""
    frames, areas = regions["frame"].to_numpy(), regions["area_px"].to_numpy()
    centroids = regions[["row", "column"]].to_numpy()

    def lasts(region: int) -> bool:
        end = min(frames[region] + LASTING, n_frames) - 1
        while frames[region] < end and following[region]:
            region = following[region][0]
        return bool(frames[region] >= end)

    def kept(region: int, successors: list[int]) -> list[int]:
        distances = {other: float(np.hypot(*(centroids[other] - centroids[region]))) for other in successors}
        near = sorted(successors, key=distances.__getitem__)[:2]
        alone = [other for other in near[:1] if distances[other] <= reach]  # a lone daughter may be farther
        if len(near) < 2:
            return alone
        one, other = areas[near]
        similar = min(one, other) >= SIMILAR * max(one, other)
        whole = WHOLE[0] <= (one + other) / areas[region] <= WHOLE[1]
        together = frames[near[0]] == frames[near[1]]
        return near if similar and whole and together and all(map(lasts, near)) else alone

    return {region: kept(region, successors) for region, successors in following.items()}


def _identified(regions: pd.DataFrame, following: dict[int, list[int]], named: Iterable[int]) -> Links:
    frames, labels = regions["frame"].tolist(), regions["label"].tolist()
    only = {after[0]: before for before, after in following.items() if len(after) == 1}
    track: dict[int, int] = {}
    for region in range(len(regions)):  # in time, so that what goes before has its track already
        track[region] = track[only[region]] if region in only else region
    ids: dict[int, int] = {}
    names = set(named)
    for region in (region for region in range(len(regions)) if frames[region] in names):
        if track[region] not in ids and labels[region] not in ids.values():
            ids[track[region]] = labels[region]
    fresh = max(ids.values(), default=0)
    for start in dict.fromkeys(track.values()):
        if start not in ids:
            fresh += 1
            ids[start] = fresh
    found = [ids[track[region]] for region in range(len(regions))]
    divisions = [(found[m], found[d], frames[d]) for m, both in following.items() if len(both) == 2 for d in both]
    gaps = [(found[a], frames[b], frames[a]) for a, b in only.items() if frames[a] - frames[b] > 1]
    empty = _no_events()
    return Links(
        regions.assign(id=found),
        pd.DataFrame(divisions, columns=empty[0].columns).astype(np.int64),
        pd.DataFrame(gaps, columns=empty[1].columns).astype(np.int64),
    )


def _no_events() -> tuple[pd.DataFrame, pd.DataFrame]:
    columns: tuple[list[str], list[str]] = (["mother", "daughter", "frame"], ["id", "first", "last"])
    divisions, gaps = (pd.DataFrame({name: pd.Series(dtype=np.int64) for name in names}) for names in columns)
    return divisions, gaps


def bridge(
    labels: NDArray[np.integer[Any]], before: NDArray[np.integer[Any]], nucleus: int, shift: NDArray[Any]
) -> NDArray[np.bool_]:
    """Return where a nucleus is taken to be in a frame in which it was not seen: its last outline, moved.

    Parameters
    ----------
    labels : ndarray of int, (H, W)
        Of the frame; what another nucleus has is not free.
    before : ndarray of int, (H, W)
        Ids of the last frame that the nucleus was seen in.
    nucleus : int
        Its id.
    shift : ndarray of float, (2,)
        How far it has moved since: rows, columns.

    Returns
    -------
    ndarray of bool, (H, W)
        Empty where less than half of the outline is free.
    """
    outline = np.argwhere(before == nucleus)
    moved = outline + np.round(shift).astype(int)
    moved = moved[((moved >= 0) & (moved < labels.shape)).all(axis=1)]
    free = moved[labels[tuple(moved.T)] == 0]
    mask = np.zeros(labels.shape, bool)
    if 2 * len(free) >= len(outline):
        mask[tuple(free.T)] = True
    return mask
