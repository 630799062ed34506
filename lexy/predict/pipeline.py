"""From a user's video to nuclei that keep their number."""

import tempfile
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lexy.checkpoint import Trained
from lexy.errors import UserError
from lexy.images.instances import decode
from lexy.io.video import Video
from lexy.networks.network import DISTANCE, FOREGROUND
from lexy.predict.flags import flagged
from lexy.predict.linking import Links, bridge, link, same_place
from lexy.predict.measure import dark_ids, measure
from lexy.predict.passes import Given, run_passes
from lexy.predict.processors import Processor
from lexy.predict.regions import region_table
from lexy.predict.scale import Field, Scale, scale_of, scaling_of
from lexy.predict.spool import Spool
from lexy.predict.tiled_networks import Progress

SEEN = 0.5  # share of a dark nucleus' place that others must have, in any frame, for it to be one


class Segmentation(AbstractContextManager["Segmentation"]):
    """Nuclei of a video, one frame at a time from a temporary folder; a context manager that removes it.

    Attributes
    ----------
    n_frames : int
    shape : tuple of int
        Height and width.
    table : DataFrame
        One row for each nucleus and frame: frame, id, row, column, area_px, confidence, flags.
    divisions : DataFrame
        mother, daughter (ids) and frame (the daughter's first).
    cleaned : DataFrame
        frame; specks (too small for a nucleus) and dark (where the video is empty), removed; holes, filled.
    started : int or None
        The frame that the network started on by itself.
    scale : Scale
    """

    def __init__(self, folder: Path, video: Video, scale: Scale) -> None:
        self.n_frames, self.shape = video.n_frames, video.shape
        self.scale = scale
        self.table = self.divisions = self.cleaned = pd.DataFrame()
        self.started: int | None = None
        self._maps = {name: Spool(folder / name) for name in (FOREGROUND, DISTANCE)}
        self._labels = Spool(folder / "labels")
        self._held = ExitStack()

    def labels(self, frame: int) -> NDArray[np.int32]:
        """Return the ids of a frame, (H, W); 0 = background."""
        return self._labels[frame]

    def probability(self, frame: int) -> NDArray[np.float32]:
        """Return the probability that a pixel is nucleus, (H, W) in [0, 1], to three digits."""
        return self._maps[FOREGROUND][frame].astype(np.float32)

    def distance(self, frame: int) -> NDArray[np.float32] | None:
        """Return the distance to the outline, (H, W) in [0, 1], where the network has such a map."""
        distances = self._maps[DISTANCE]
        return distances[frame].astype(np.float32) if frame in distances else None

    def close(self) -> None:
        """Remove the temporary folder: labels and probabilities are gone, the table stays."""
        self._held.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def track_nuclei(
    video: Video,
    trained: Trained,
    processor: Processor,
    *,
    diameter: float | None = None,
    given: Given | None = None,
    overlap: float = 0.5,
    folder: Path | None = None,
    progress: Progress = lambda what, done, of: None,
) -> Segmentation:
    """Find the nuclei of each frame, and follow them.

    Parameters
    ----------
    video : Video
    trained : Trained
        From `lexy.checkpoint.open_trained`.
    processor : Processor
        Where the network computes.
    diameter : float, optional
        Of a typical nucleus, in pixels of the video. Needed unless the video and the checkpoint know their pixel sizes.
    given : mapping of int to ndarray of int (H, W), optional
        Labels of frames, as a user drew or corrected them; these frames have them as they are, and a nucleus keeps the
        id that it has in the first of them.
    overlap : float
        Least share of a tile that the next one covers too, [0, 1).
    folder : Path, optional
        Where the temporary folder is made (about 6 bytes for each pixel of the video, and 20 more if the network sees
        whole clips); the system's place otherwise.
    progress : callable, optional
        Called with what is done, how many frames or tiles of it are, and how many there will be.

    Returns
    -------
    Segmentation
        Close it, or use it in a `with`.

    Raises
    ------
    UserError
        The scale is not known; the network cannot start; a given mask does not fit; the video shows nothing.
    """
    given = given or {}
    _check(video, given)
    scale = scale_of(video, trained, diameter)
    field = Field(video, scale, scaling_of(video, trained))
    with ExitStack() as held:
        place = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="lexy-", dir=folder)))
        result = Segmentation(place, video, scale)
        result.started = run_passes(
            field,
            trained,
            given,
            result._maps,
            processor=processor,
            folder=place,
            overlap=overlap,
            progress=progress,
        )
        links, result.cleaned = _instances(result, video, given, progress)
        result.divisions = links.divisions
        table = pd.concat([links.table.assign(filled=False), _named(result, links)], ignore_index=True)
        result.table = flagged(table, links.divisions, result.n_frames, result.shape, scale.diameter)
        result._held = held.pop_all()
    return result


def _check(video: Video, given: Given) -> None:
    for frame, labels in given.items():
        if not 0 <= frame < video.n_frames:
            raise UserError(
                f"A mask is given for frame {frame}, but {video.name} has frames 0 to {video.n_frames - 1}."
            )
        if labels.shape != video.shape:
            raise UserError(
                f"The mask of frame {frame} is {_size(labels.shape)} px, but {video.name} is {_size(video.shape)} px."
            )
        if not (labels > 0).any():
            raise UserError(f"The mask of frame {frame} is empty: there is no nucleus to follow.")


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _instances(result: Segmentation, video: Video, given: Given, progress: Progress) -> tuple[Links, pd.DataFrame]:
    """Write the instances of each frame; return which of them are one nucleus, and what was cleaned."""
    tables, overlaps, before = [], [], None
    cleaned, empty = _separated(result, video, given, progress)
    for frame, ids in enumerate(empty):
        labels = result.labels(frame)
        labels = np.where(np.isin(labels, ids), 0, labels)
        result._labels[frame] = labels
        tables.append(region_table(labels, result.probability(frame)).assign(frame=frame))
        if before is not None:
            overlaps.append(same_place(before, labels))
        before = labels
        progress("link", frame + 1, result.n_frames)
    regions = pd.concat(tables, ignore_index=True)
    links = link(regions, overlaps, result.n_frames, result.scale.diameter, named=sorted(given))
    return links, cleaned


def _separated(
    result: Segmentation, video: Video, given: Given, progress: Progress
) -> tuple[pd.DataFrame, list[list[int]]]:
    """Write the instances of each frame; return what was cleaned, and which lie where the video is always empty.

    A field without an empty place gives no background to stand out of once N/C is 1: so a nucleus may be dark in some
    frames, if there is one at its place in another.
    """
    cleaned, dark, seen = [], [], np.zeros(video.shape, bool)
    for frame in range(result.n_frames):
        if frame in given:
            labels, specks, holes = given[frame].astype(np.int32), 0, 0
            ids = np.empty(0, np.intp)
        else:
            probability, distance = result.probability(frame), result.distance(frame)
            labels, specks, holes = decode(probability, result.scale.diameter, distance)
            image = video.read(frame)
            ids = dark_ids(image, measure(image, labels, result.scale.diameter))
        result._labels[frame] = labels
        seen |= (labels > 0) & ~np.isin(labels, ids)
        dark.append(ids)
        cleaned.append({"frame": frame, "specks": specks, "holes": holes})
        progress("separate", frame + 1, result.n_frames)
    empty = []
    for frame, ids in enumerate(dark):
        labels = result.labels(frame)
        empty.append([number for number in ids.tolist() if seen[labels == number].mean() <= SEEN])
    return pd.DataFrame(cleaned).assign(dark=list(map(len, empty))), empty


def _named(result: Segmentation, links: Links) -> pd.DataFrame:
    """Write ids for labels, frame by frame, and the nuclei of bridged frames; return the rows of these."""
    gaps = links.gaps.to_numpy()
    keys = zip(links.table["id"], links.table["frame"], strict=True)
    places = dict(zip(keys, links.table[["row", "column"]].to_numpy(), strict=True))
    bridged = []
    for frame in range(result.n_frames):
        rows = links.table[links.table["frame"] == frame]
        labels = result.labels(frame)
        numbers = np.zeros(labels.max() + 1, np.int32)
        numbers[rows["label"]] = rows["id"]
        labels = numbers[labels]
        fills = []
        for nucleus, first, last in gaps[(gaps[:, 1] < frame) & (frame < gaps[:, 2])].tolist():
            shift = (places[nucleus, last] - places[nucleus, first]) * (frame - first) / (last - first)
            mask = bridge(labels, result.labels(first), nucleus, shift)
            labels[mask] = nucleus
            fills += [nucleus] if mask.any() else []
        result._labels[frame] = labels
        if fills:
            regions = region_table(labels, result.probability(frame)).rename(columns={"label": "id"})
            regions = regions[regions["id"].isin(fills)]
            bridged.append(regions.assign(frame=frame, filled=True, confidence=0.0))  # nothing spoke for them
    return pd.concat(bridged, ignore_index=True) if bridged else links.table.iloc[:0].assign(filled=False)
