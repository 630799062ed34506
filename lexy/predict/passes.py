"""Run a network over a video, and write the maps of every frame to disk."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lexy.checkpoint import Trained
from lexy.errors import UserError
from lexy.images.nc_ratio import start_score
from lexy.networks.network import FOREGROUND
from lexy.predict.processors import Processor
from lexy.predict.scale import Field
from lexy.predict.spool import Spool
from lexy.predict.tiled_networks import Progress, TiledNetwork, tiled
from lexy.predict.tiles import Tiles

TILE = (128, 128)  # where a checkpoint does not know the size of its crops: the published one
CANDIDATES = 16  # frames, evenly spaced, that are looked at for a start: looking costs as much as segmenting
Given = Mapping[int, NDArray[np.integer[Any]]]


def run_passes(
    field: Field,
    trained: Trained,
    given: Given,
    maps: Mapping[str, Spool],
    *,
    processor: Processor,
    folder: Path,
    overlap: float,
    progress: Progress,
) -> int | None:
    """Write the maps of every frame, float16 at the video's size.

    A network that needs no mask sees each frame in turn, or all of them at once. One that does starts on a frame with a
    mask, and goes from there to both ends. A given mask is taken as it is, as probabilities 0 and 1; from each, the
    network starts anew.

    Parameters
    ----------
    field : Field
    trained : Trained
    given : mapping of int to ndarray of int (H, W)
        Labels of frames.
    maps : mapping of str to Spool
        What is written to: `foreground`, and `distance` where the network has it.
    processor : Processor
    folder : Path
        For temporary files.
    overlap : float
        See `Tiles`.
    progress : callable
        Called with what is done, how many frames or tiles of it are, and how many there will be.

    Returns
    -------
    int or None
        The frame that the network started on by itself.

    Raises
    ------
    UserError
        The network needs a mask, and there is neither a given one nor a network that could make one; or this one found
        no nucleus.
    """
    tiles = Tiles(field.shape, trained.crop_size or TILE, overlap)
    over_fields = partial(tiled, tiles=tiles, processor=processor, folder=folder, progress=progress)
    network = over_fields(trained.network)
    masks = {frame: field.mask(labels) for frame, labels in given.items()}
    found = None
    if trained.network.needs_mask and not masks:
        if trained.frame_network is None:
            raise UserError(
                f"{type(trained.network).__name__} carries a mask from frame to frame, and its checkpoint holds no "
                "frame network to make the first one. Give the mask of a frame (--mask FRAME=FILE), or a checkpoint "
                "that was trained with frame_network=PATH."
            )
        found, mask = best_start(field, over_fields(trained.frame_network), progress)
        masks = {found: mask}
    walks = _walks(sorted(masks), field.n_frames) if trained.network.needs_mask else [range(field.n_frames)]
    done = 0
    for walk in walks:
        for frame, outputs in network.walk(field, walk, masks.get(walk[0]), masks if given else {}):
            for name, values in outputs.items():
                maps[name][frame] = field.back(values).astype(np.float16)
            done += 1
            progress("segment", done, sum(map(len, walks)))
    for frame, labels in given.items():
        maps[FOREGROUND][frame] = (labels > 0).astype(np.float16)
    return found


def best_start(field: Field, network: TiledNetwork, progress: Progress) -> tuple[int, Tensor]:
    """Return the frame on which a frame network can be relied on most, and its probabilities (h, w) there.

    The frame with the greatest score (`lexy.images.nc_ratio.start_score`) among evenly spaced ones and with the first.

    Raises
    ------
    UserError
        No nucleus in any of them.
    """
    frames = np.unique(np.linspace(0, field.n_frames - 1, CANDIDATES).round().astype(int)).tolist()
    best, start, mask = 0.0, 0, None
    for done, number in enumerate(frames, start=1):
        frame = field.frame(number)
        ((_, maps),) = network.walk(field, [number])
        probability = maps[FOREGROUND]
        score = float(start_score(frame[None, None], probability[None, None]))
        if score > best:
            best, start, mask = score, number, probability
        progress("look for a start", done, len(frames))
    if mask is None:
        raise UserError(
            f"No nucleus was found in any of {len(frames)} frames of {field.video.name}. Check --diameter, or give the "
            "mask of a frame (--mask FRAME=FILE)."
        )
    return start, mask


def _walks(starts: list[int], n_frames: int) -> list[range]:
    """Return the ways from each start to the frame before the next one, and from the first one back to frame 0."""
    ends = [*starts[1:], n_frames]
    forward = [range(*ends_of) for ends_of in zip(starts, ends, strict=True)]
    return forward if starts[0] == 0 else [*forward, range(starts[0], -1, -1)]
