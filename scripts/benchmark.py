"""Measure how much faster the project's batched code is than plain loops, as ratios within one run.

    python scripts/benchmark.py

Both sides of a pair do the same work: a plain loop with scikit-image and scikit-learn, and the project's code. They run
in turn, so that drifting speed of the machine affects both; the figures are medians over rounds. Quote the ratios, not
the seconds.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sequence_speed import memory_rows
from sequence_speed import rows as sequence_rows
from skimage.feature import canny
from skimage.metrics import hausdorff_distance
from skimage.transform import AffineTransform, warp
from sklearn.metrics import confusion_matrix
from torch import Tensor, nn

from lexy.clip import Clip
from lexy.data.sampling import Batches
from lexy.data.stills import PhantomStills, StillClips
from lexy.evaluation.canny import published_hausdorff
from lexy.evaluation.overlap import overlap
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla
from lexy.tasks.augmentation import Augmentation
from lexy.tasks.losses import CombinedLoss

BATCH, SIZE = 32, 128
AFFINE = Augmentation(flip=0.5, quarter_turns="none", rotation=20, log_scale=0.1, shear=8, shift=0.05)
Images = NDArray[np.float32]


def plain_augmentation(frames: Images, masks: Images, rng: np.random.Generator) -> tuple[Images, Images]:
    """Apply the affine and the flips of `AFFINE` image by image with scikit-image."""
    out = []
    for frame, mask in zip(frames, masks, strict=True):
        if rng.random() < 0.5:
            frame, mask = frame[:, ::-1], mask[:, ::-1]
        if rng.random() < 0.5:
            frame, mask = frame[::-1], mask[::-1]
        transform = AffineTransform(
            scale=math.exp(0.1 * rng.standard_normal()),
            rotation=math.radians(rng.uniform(-20, 20)),
            shear=math.radians(rng.uniform(-8, 8)),
            translation=rng.uniform(-0.05, 0.05, 2) * SIZE,
        )
        out.append((warp(frame, transform, order=1), warp(mask, transform, order=0) >= 0.5))
    return np.stack([frame for frame, _ in out]), np.stack([mask for _, mask in out])


def plain_metrics(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> list[tuple[float, ...]]:
    """Compute confusion matrix and Canny-Hausdorff image by image with scikit-learn and scikit-image."""
    rows: list[tuple[float, ...]] = []
    for one, other in zip(predicted, truth, strict=True):
        tn, fp, fn, tp = confusion_matrix(other.ravel(), one.ravel(), labels=[False, True]).ravel()
        edges = canny(one.astype(float), sigma=1), canny(other.astype(float), sigma=1)
        rows.append((2 * tp / (2 * tp + fp + fn), tp / (tp + fn), tn / (tn + fp), hausdorff_distance(*edges)))
    return rows


def our_metrics(predicted: Tensor, truth: Tensor) -> tuple[dict[str, Tensor], NDArray[np.float64]]:
    """Compute the same metrics for the whole batch."""
    return overlap(predicted, truth), published_hausdorff(predicted, truth)


class TrainingStep:
    """One step of the vanilla U-Net 64…1024, plain (fp32, contiguous) or ours (bf16, channels last)."""

    def __init__(self, *, fast: bool) -> None:
        torch.manual_seed(0)
        self.fast = fast
        network: nn.Module = UNet(partial(Vanilla, width=64))
        self.network = network.to(memory_format=torch.channels_last) if fast else network  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4)
        self.loss = CombinedLoss()

    def __call__(self, frames: Tensor, masks: Tensor) -> float:
        """Run forward, backward and the optimiser's step; return the seconds of forward and backward."""
        self.optimizer.zero_grad()
        begin = time.perf_counter()
        with torch.autocast(frames.device.type, torch.bfloat16, enabled=self.fast):
            logits = self.network(frames)
        self.loss(logits.float(), masks).backward()
        seconds = time.perf_counter() - begin
        self.optimizer.step()
        return seconds


def plain_epoch(step: TrainingStep, images: Images, masks: Images) -> None:
    """Load, augment, train and measure as a plain loop does."""
    rng = np.random.default_rng(0)
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        x, y = plain_augmentation(images[rows], masks[rows], rng)
        step(torch.from_numpy(x).float()[:, None], torch.from_numpy(y).float()[:, None])
        plain_metrics(y > 0.5, masks[rows] > 0.5)


def our_epoch(step: TrainingStep, clips: StillClips, batches: Batches) -> float:
    """Do the same with the project's loader, augmentation and metrics; return the seconds of forward and backward."""
    network = 0.0
    for index, rows in enumerate(batches):
        clip = AFFINE(clips[rows], (0, 0, index))
        network += step(clip["frames"][:, 0], clip["masks"][:, 0])
        our_metrics(clip["masks"][:, 0, 0] > 0.5, torch.from_numpy(clips.masks[rows]) > 0)
    return network


def paired(plain: Callable[[], object], ours: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Return the median seconds of both and the median ratio of a round, after one round of warm-up."""
    times = []
    for _ in range(rounds + 1):
        marks = [time.perf_counter()]
        for call in (plain, ours):
            call()
            marks.append(time.perf_counter())
        times.append((marks[1] - marks[0], marks[2] - marks[1]))
    times = times[1:]
    return (
        statistics.median(a for a, _ in times),
        statistics.median(b for _, b in times),
        statistics.median(a / b for a, b in times),
    )


def start_seconds(*arguments: str, **environment: str) -> float:
    """Return the median wall time of `lexy-train` with these arguments in a separate process."""
    call = [sys.executable, "-m", "lexy.cli.train", *arguments]
    times = []
    for _ in range(6):
        begin = time.perf_counter()
        subprocess.run(call, capture_output=True, check=True, env=os.environ | environment)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def crop_rows(count: int) -> Iterator[tuple[str, ...]]:
    """Time cropping and storing of `count` fields of 2048², and measure memory for a quarter of them and for all."""

    def measured(fields: int, how: str = "ours") -> dict[str, float]:
        call = [sys.executable, str(Path(__file__).with_name("crop_speed.py")), f"{folder}/drawn"]
        done = subprocess.run([*call, f"--fields={fields}", f"--how={how}"], stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout or "{}")

    with tempfile.TemporaryDirectory() as folder:
        measured(0)  # draws the fields
        plain, ours = measured(count, "plain"), measured(count)
        yield (
            f"read, crop, store {count} fields of 2048²",
            *(f"{how['seconds']:.4f}" for how in (plain, ours)),
            f"{plain['seconds'] / ours['seconds']:.1f} ×",
        )
        for fields, how in ((count // 4, measured(count // 4)), (count, ours)):
            yield f"our peak memory for {fields} fields, 3 processes", "", f"{how['peak_mb']:.0f} MB", ""


def download_row(count: int) -> tuple[str, ...]:
    """Time fetching, checking and hashing of `count` images of 0.3 MB from a server with 50 ms latency."""
    call = [sys.executable, str(Path(__file__).with_name("download_speed.py")), f"--files={count}"]
    done = subprocess.run(call, stdout=subprocess.PIPE, check=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    speed = f"{count / result['ours']:.0f} files/s, {result['mb'] / result['ours']:.0f} MB/s"
    name = f"download {count} images, 16 connections ({speed})"
    return name, f"{result['plain']:.4f}", f"{result['ours']:.4f}", f"{result['ratio']:.1f} ×"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of the short measurements (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default 2)")
    parser.add_argument(
        "--no-training", action="store_true", help="leave out the training step and the epoch (minutes)"
    )
    parser.add_argument(
        "--fields", type=int, help="fields of 2048² to crop (default 200, minutes; with --no-training 0: leave it out)"
    )
    parser.add_argument(
        "--files", type=int, help="images to download (default 200, a minute; with --no-training 0: leave it out)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    data = PhantomStills(fields=24)
    clips = StillClips(data.stills)
    rows = list(range(BATCH))
    clip: Clip = clips[rows]
    images, masks = (clips.images / clips.scale).astype(np.float32), clips.masks.astype(np.float32)
    moved = AFFINE(clip, (1, 0, 0))["masks"][:, 0, 0] > 0.5
    truth = clip["masks"][:, 0, 0] > 0.5

    table = Table(title=f"{BATCH} × {SIZE} × {SIZE}, {arguments.threads} threads, torch {torch.__version__}")
    for column in ("what", "plain, s", "ours, s", "ratio"):
        table.add_column(column, justify="left" if column == "what" else "right")

    def row(name: str, measured: tuple[float, float, float]) -> None:
        table.add_row(name, *(f"{value:.4f}" for value in measured[:2]), f"{measured[2]:.1f} ×")

    rng = np.random.default_rng(0)
    keys = iter(range(10**6))
    row(
        "augmentation (flips, affine)",
        paired(
            lambda: plain_augmentation(images[:BATCH], masks[:BATCH], rng),
            lambda: AFFINE(clip, (0, 0, next(keys))),
            arguments.rounds,
        ),
    )
    row(
        "metrics (confusion, Canny-Hausdorff)",
        paired(
            lambda: plain_metrics(moved.numpy(), truth.numpy()), lambda: our_metrics(moved, truth), arguments.rounds
        ),
    )
    sequences = 2 if arguments.no_training else 97
    for name, plain, ours in sequence_rows(clip, sequences):
        row(name, paired(plain, ours, arguments.rounds if "sequences" not in name else 2))
    if not arguments.no_training:
        for memory in memory_rows():
            table.add_row(*memory)
        plain_step, our_step = TrainingStep(fast=False), TrainingStep(fast=True)
        frames, labels = clip["frames"][:, 0], clip["masks"][:, 0]
        row(
            "training step, vanilla 64…1024",
            paired(lambda: plain_step(frames, labels), lambda: our_step(frames, labels), 2),
        )
        whole = len(images) // BATCH * BATCH
        batches = Batches(list(range(whole)), BATCH, seed=0)
        begin = time.perf_counter()
        plain_epoch(plain_step, images[:whole], masks[:whole])
        middle = time.perf_counter()
        network = our_epoch(our_step, clips, batches)
        seconds = middle - begin, time.perf_counter() - middle
        outside = seconds[1] - network
        row(f"epoch of {whole} crops", (*seconds, seconds[0] / seconds[1]))
        table.add_row(
            "our epoch outside of forward and backward", "", f"{outside:.4f}", f"{100 * outside / seconds[1]:.1f} %"
        )
    if fields := (0 if arguments.no_training else 200) if arguments.fields is None else arguments.fields:
        for cells in crop_rows(fields):
            table.add_row(*cells)
    if files := (0 if arguments.no_training else 200) if arguments.files is None else arguments.files:
        table.add_row(*download_row(files))
    table.add_row("lexy-train --help", "", f"{start_seconds('--help'):.3f}", "")
    line = "lexy-train backbone=re"
    completion = start_seconds("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    table.add_row("tab completion", "", f"{completion:.3f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
