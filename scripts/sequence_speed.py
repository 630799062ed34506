"""Measure speed and memory of work on sequences; `benchmark.py` shows the rows.

python scripts/sequence_speed.py --frames 8 --recompute     # MB that one unrolled training step needs at its peak
"""

import argparse
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import canny
from skimage.metrics import hausdorff_distance
from skimage.transform import AffineTransform, warp
from sklearn.metrics import confusion_matrix
from torch import Tensor

from lexy.clip import Clip
from lexy.data.sequences.published import INTENSITY, MOTION, STEP, Published
from lexy.evaluation.evaluate import evaluate
from lexy.networks.tracknet import TrackNet
from lexy.networks.vanilla import Vanilla
from lexy.tasks.inference import Forward, Predictor
from lexy.tasks.mask_noise import PublishedNoise
from lexy.tasks.starts import TrueMask
from lexy.tasks.training import Unrolled

CLIPS, BATCH, WIDTH = 4, 8, 8
Images = NDArray[np.float32]
Row = tuple[str, Callable[[], object], Callable[[], object]]


def rows(clip: Any, sequences: int) -> list[Row]:
    """Iterate over what is measured: name, plain loop, project's code.

    Parameters
    ----------
    clip : Clip
        Of stills.
    sequences : int
        How many clips are evaluated.
    """
    frames, masks = clip["frames"][:, 0], clip["masks"][:, 0]
    images, labels = frames[:, 0].numpy(), masks[:, 0].numpy()
    noise, draw, rng = PublishedNoise(), torch.Generator().manual_seed(0), np.random.default_rng(0)
    protocol = Published()
    torch.manual_seed(0)
    network = TrackNet(partial(Vanilla, width=WIDTH)).eval()
    clips = published_clips(frames, masks, sequences)
    few, their_images, their_labels = (part[:CLIPS] for part in (frames, images, labels))
    return [
        (
            f"mask noise of {len(masks)} stills",
            lambda: plain_mask_noise(labels, rng),
            lambda: noise.previous(masks, draw),
        ),
        (
            f"{CLIPS} published sequences of 30 frames",
            lambda: plain_clips(their_images, their_labels),
            lambda: protocol.clips(few, masks[:CLIPS], 0, range(CLIPS)),
        ),
        (
            f"free-running evaluation of {sequences} sequences, Track-Net of width {WIDTH}, all metrics",
            lambda: plain_evaluation(network, clips),
            lambda: evaluate(Predictor(network, TrueMask(), Forward()), clips),
        ),
    ]


def published_clips(frames: Tensor, masks: Tensor, count: int) -> list[Clip]:
    """Make batches of published sequences."""
    chosen = torch.arange(count) % len(frames)
    batches: list[Clip] = []
    for part in chosen.split(BATCH):
        made = Published().clips(frames[part], masks[part], 0, part.tolist())
        shape = made.contrast.shape
        batches.append(
            {
                "frames": made.frames,
                "masks": made.masks,
                "labelled": torch.ones(shape, dtype=torch.bool),
                "video": [f"{i}" for i in part.tolist()],
                "group": [f"{i}" for i in part.tolist()],
                "frame": torch.arange(shape[1]).expand(shape),
                "contrast": made.contrast,
            }
        )
    return batches


def plain_mask_noise(masks: Images, rng: np.random.Generator) -> Images:
    """Make Track-Net's published previous masks one by one with scikit-image."""
    out = []
    for mask in masks:
        scale, shear = rng.uniform(0.01, 0.1, 2)
        matrix = np.array([[1 + scale, -(1 + scale) * math.tan(shear), 0], [0, 1 + scale, 0], [0, 0, 1]])
        out.append(warp(mask, AffineTransform(matrix).inverse, order=0))
    return np.stack(out)


def plain_clips(images: Images, masks: Images) -> tuple[Images, Images]:
    """Make the published sequences frame by frame with scikit-image and SciPy."""
    out = []
    for image, mask in zip(images, masks, strict=True):
        for p, factor in zip(MOTION, INTENSITY, strict=True):
            transform = AffineTransform(scale=1 + STEP * p, shear=STEP * p)
            pair = np.where(mask > 0, image * factor, image), mask
            pair = tuple(warp(part, transform.inverse, order=0) for part in pair)
            frame, moved = (ndimage.rotate(part, STEP * p, reshape=False, order=0) for part in pair)
            moved = ndimage.gaussian_filter(moved, 1.5) >= 0.5
            edge = ndimage.binary_dilation(canny(moved.astype(float), sigma=1))
            frame = np.where(edge, ndimage.gaussian_filter(frame, 0.7), frame)
            out.append((frame / frame.max(), moved))
    return np.stack([frame for frame, _ in out]), np.stack([mask for _, mask in out])


@torch.no_grad()
def plain_evaluation(network: TrackNet, batches: list[Clip]) -> list[dict[str, float]]:
    """Evaluate one sequence at a time, each frame with scikit-learn, scikit-image and SciPy."""
    measured = []
    for clip in batches:
        for frames, masks in zip(clip["frames"], clip["masks"], strict=True):
            state = network.start(frames[:1], masks[:1])
            for frame, mask in zip(frames, masks, strict=True):
                logits, state = network.step(state, frame[None])
                measured.append(plain_metrics(logits[0, 0].numpy() >= 0, mask[0].numpy() > 0.5, frame[0].numpy()))
    return measured


def plain_metrics(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], image: Images) -> dict[str, float]:
    """Compute the metrics of `lexy.evaluation.table.frame_rows` for one image; NaN if a mask is empty."""
    tn, fp, fn, tp = confusion_matrix(truth.ravel(), predicted.ravel(), labels=[False, True]).ravel()
    row: dict[str, float] = {"dice": 2 * tp / max(1, 2 * tp + fp + fn), "iou": tp / max(1, tp + fp + fn)}
    row |= {"sensitivity": tp / max(1, tp + fn), "specificity": tn / max(1, tn + fp)}
    edges = [canny(mask.astype(float), sigma=1) for mask in (predicted, truth)]
    row["hausdorff_published"] = hausdorff_distance(*edges) if all(edge.any() for edge in edges) else math.nan
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (predicted, truth)]
    if all(border.any() for border in borders):
        one, other = (
            ndimage.distance_transform_edt(~to)[of] for of, to in (borders, borders[::-1])
        )  # fmt: skip
        both = np.concatenate([one, other])
        row |= {"hausdorff": both.max(), "hd95": max(np.percentile(one, 95), np.percentile(other, 95))}
        row |= {"mean_surface_distance": both.mean(), "surface_dice": (both <= 1).mean()}
    background = np.percentile(image, 1)
    for name, mask in (("nc_predicted", predicted), ("nc_true", truth)):
        distance = ndimage.distance_transform_edt(~mask)
        ring = (distance > 2) & (distance <= 6)
        if mask.any() and ring.any():
            row[name] = (image[mask].mean() - background) / max(1e-6, image[ring].mean() - background)
    return row


def memory_rows() -> Iterator[tuple[str, str, str, str]]:
    """Measure the additional peak memory of one unrolled step, for windows of several lengths."""
    for frames in (2, 4, 8, 16):
        plain, recomputed = (_measured(frames, *flag) for flag in ((), ("--recompute",)))
        name = f"memory of an unrolled step, T = {frames}, without and with recomputing, MB"
        yield name, f"{plain:.0f}", f"{recomputed:.0f}", f"{plain / recomputed:.1f} ×"


def _measured(frames: int, *flags: str) -> float:
    call = [sys.executable, __file__, f"--frames={frames}", *flags]
    return float(subprocess.run(call, capture_output=True, check=True, text=True).stdout)


def step_memory(frames: int, *, recompute: bool) -> float:
    """Return the MB that a training step of Track-Net (width 8, 8 clips of 128 px) adds to the peak of the process."""
    network: Any = TrackNet(partial(Vanilla, width=WIDTH, normalization="group"), feedback="soft")
    images = torch.rand(BATCH, frames, 1, 128, 128)
    clip: Any = {"frames": images, "masks": images.round(), "labelled": torch.ones(BATCH, frames, dtype=torch.bool)}
    way = Unrolled(None, [frames], recompute=recompute)
    before = _peak()
    (term,) = way(network, clip, torch.Generator().manual_seed(0), 0.0)
    term.logits.square().mean().backward()
    return _peak() - before


def _peak() -> float:
    """Return the peak memory of this process in MB; `getrusage` would include the parent before exec."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, required=True, help="length of the window")
    parser.add_argument("--recompute", action="store_true", help="activation checkpointing")
    arguments = parser.parse_args()
    print(step_memory(arguments.frames, recompute=arguments.recompute))
