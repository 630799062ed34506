"""The table of docs/results.md: networks and ways of training on synthetic sequences, beside baselines.

    python scripts/sequence_sweep.py train --store outputs/data/hpa64     # hours on 2 cores; a finished run is kept
    python scripts/sequence_sweep.py table --store outputs/data/hpa64

Each row is one `lexy-train` for each seed, with the overrides below. The table evaluates all of them on the test split
of both protocols, from the true first mask, and writes per-frame rows, a CSV, curves and film strips for each protocol.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

import lexy
from lexy.data.sequences.protocol import Protocol
from lexy.data.sequences.published import Published
from lexy.data.sequences.translocation import Translocation
from lexy.data.stills import HPAStills
from lexy.data.synthetic import SyntheticSequences
from lexy.evaluation.baselines import CopiedMask, Li, MovedMask, Otsu
from lexy.evaluation.comparison import comparison
from lexy.evaluation.evaluate import evaluate_all
from lexy.networks.fusion import Fusion
from lexy.report.clips import draw_clips
from lexy.report.sequence_figures import draw_curves
from lexy.tasks.prediction import BothWays, Direction, Forward, Predictor
from lexy.tasks.starts import TrueMask, counted

PROTOCOLS: dict[str, Protocol] = {"published": Published(max_contrast=0.2), "lexy": Translocation()}
FRAME, TRACK, BEST = "U-Net, synthetic frames", "Track-Net, unrolled", "Move-Net"
THREE_SEEDS = (FRAME, BEST)
# In every row about as many frames a step and as many minutes in all. Training moves cells more than either test does.
STILLS = ["data=hpa", "data.batch_size=40", "start=perturbed", "trainer.max_epochs=200"]
MOTION = ["data.protocol.drift=0.04", "data.protocol.stretch=0.08", "data.protocol.rotation=8"]
CLIPS = ["data=synthetic", "data/stills=hpa", "data.clips_per_epoch=96", "start=truth", *MOTION]
WINDOWS = [*CLIPS, "training=unrolled", "trainer.max_epochs=60"]
# What has no memory of the frames between may be shown fewer of them: the same experiment in 10 frames instead of 30.
SPARSE = [*CLIPS, "data.protocol.frames=10", "data.protocol.interval=100", "data.batch_size=12"]
SPARSE += ["trainer.max_epochs=75"]
TRACKNET, SIAMNET = ["model=tracknet"], ["model=siamnet"]
SOFT = ["model.feedback=soft"]
ROWS: dict[str, list[str]] = {
    "U-Net, stills": [*STILLS, "model=unet"],
    FRAME: [*SPARSE, "model=unet", "training.frames=4"],
    "Track-Net, published": [*STILLS, *TRACKNET, "training=published"],
    "Siam-Net, published": [*STILLS, *SIAMNET, "training=published"],
    "Track-Net, stills": [*STILLS, *TRACKNET, "training=stills"],
    "Siam-Net, stills": [*STILLS, *SIAMNET, "training=stills"],
    "Track-Net, self-feeding": [*STILLS, *TRACKNET, *SOFT, "training=self_feeding"],
    "Siam-Net, self-feeding": [*STILLS, *SIAMNET, *SOFT, "training=self_feeding"],
    TRACK: [*WINDOWS, *TRACKNET, *SOFT],
    "Siam-Net, unrolled": [*WINDOWS, *SIAMNET, *SOFT],
    BEST: [*SPARSE, "model=movenet", "training=unrolled", "training.noise=null", "training.lengths=[4]"],
}


class Run(NamedTuple):
    """A row with a seed, and its folder once it is trained."""

    row: str
    seed: int
    folder: Path


def runs(outputs: Path) -> list[Run]:
    """All trainings of the sweep."""
    every = [(row, seed) for row in ROWS for seed in (range(3) if row in THREE_SEEDS else range(1))]
    return [
        Run(row, seed, outputs / f"{row.lower().replace(', ', '_').replace(' ', '_')}_{seed}") for row, seed in every
    ]


def finished(run: Run) -> Path | None:
    """The folder of the finished training, if there is one."""
    for status in run.folder.glob("sequences/*/status.json"):
        if json.loads(status.read_text())["state"] == "done":
            return status.parent
    return None


def train(outputs: Path, store: Path, rows: list[str], seeds: list[int], at_once: int, extra: list[str]) -> None:
    """Train what is not finished, `at_once` runs at a time, one thread each; each log lies in the row's folder."""

    def one(run: Run) -> None:
        overrides = [*ROWS[run.row], f"seed={run.seed}", f"paths.outputs={run.folder.resolve()}"]
        command = ["experiment=sequences", *overrides, f"paths.store={store.resolve()}", "resume=auto", *extra]
        run.folder.mkdir(parents=True, exist_ok=True)
        with (run.folder / "log.txt").open("w") as log:
            arguments = [sys.executable, "-m", "lexy.cli.train", *command]
            done = subprocess.run(arguments, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"})
        print(
            f"{run.row}, seed {run.seed}: {'done' if done.returncode == 0 else f'failed, see {log.name}'}", flush=True
        )

    wanted = [run for run in runs(outputs) if run.row in rows and run.seed in seeds and finished(run) is None]
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, wanted))


def methods(outputs: Path) -> list[tuple[str, int, Any, Direction]]:
    """Name, seed, network and direction of everything in the table; says which rows are not trained yet."""
    found: list[tuple[str, int, Any, Direction]] = [
        (name, 0, network, Forward())
        for name, network in {
            "copied first mask": CopiedMask(), "moved first mask": MovedMask(),
            "Otsu threshold": Otsu(), "Li threshold": Li(),
        }.items()
    ]  # fmt: skip
    networks = {}
    for run in runs(outputs):
        folder = finished(run)
        if folder is None:
            print(f"not trained yet: {run.row}, seed {run.seed}")
            continue
        networks[run.row, run.seed] = lexy.load(folder / "best.ckpt")
        found.append((run.row, run.seed, networks[run.row, run.seed], Forward()))
    frame = networks.get((FRAME, 0))
    for name in (TRACK, BEST):
        if frame is not None and (name, 0) in networks:
            found.append((f"fusion of U-Net and {name}", 0, Fusion(frame, networks[name, 0]), Forward()))
            found.append((f"{name}, forward + backward", 0, networks[name, 0], BothWays(frame)))
    return found


def table(outputs: Path, store: Path) -> None:
    """Evaluate everything that is trained; write and print the tables."""
    for protocol_name, protocol in PROTOCOLS.items():
        data = SyntheticSequences(partial(HPAStills, store=str(store)), protocol)
        start = TrueMask()
        predict = {
            (name, seed): Predictor(network, start, direction) for name, seed, network, direction in methods(outputs)
        }
        keys = {f"{name}#{seed}": (name, seed) for name, seed in predict}
        one_step = {key: predict[keys[key]].one_step for key in keys if _steps(predict[keys[key]])}
        by_key = {key: predict[keys[key]] for key in keys}
        rows = evaluate_all(by_key, data.loader("test"), one_step, partial(counted, start=start))
        tables: dict[str, pd.DataFrame] = {}
        for key, (name, seed) in keys.items():
            tables[name] = pd.concat([tables.get(name), rows[key].assign(seed=seed)])
        folder = outputs / "tables" / protocol_name
        folder.mkdir(parents=True, exist_ok=True)
        pd.concat([part.assign(method=name) for name, part in tables.items()]).to_parquet(folder / "frames.parquet")
        best = BEST if BEST in tables else FRAME
        result = comparison(tables, best)
        result["parameters"] = [_parameters(predict[name, 0]) for name in result.index]
        result["minutes"] = [_minutes(outputs, name) for name in result.index]
        result.to_csv(folder / "comparison.csv")
        draw_curves(
            {name: tables[name] for name in list(tables)[:2] + list(tables)[4:]}, folder / "curves.png", embedded=False
        )
        for name in tables:
            path = folder / f"{name.replace(' ', '_')}.png"
            draw_clips(predict[name, 0], data.loader("test"), rows[f"{name}#0"], path, embedded=False)
        print(f"\n{protocol_name}: {len(data.rows('test'))} clips of {len(data.groups('test'))} fields")
        print(_markdown(result))


def _steps(predictor: Predictor) -> bool:
    return predictor.carries_mask and isinstance(predictor.network, torch.nn.Module)


def _parameters(predictor: Predictor) -> int:
    network = predictor.network
    return sum(p.numel() for p in network.parameters()) if isinstance(network, torch.nn.Module) else 0


def _minutes(outputs: Path, row: str) -> float:
    """Mean training time of a row's runs, from their epoch logs."""
    times = [pd.read_csv(done / "metrics.csv") for run in runs(outputs) if run.row == row and (done := finished(run))]
    return float(pd.Series([log["train/seconds"].sum() / 60 for log in times]).mean()) if times else 0.0


def _markdown(result: pd.DataFrame) -> str:
    qualities = {"dice_one_step": 3, "dice": 3, "dice_worst_frame": 3, "hd95": 2, "nc_error": 3}
    lines = ["| | " + " | ".join(qualities) + " | parameters | minutes |", "|---|" + "---|" * (len(qualities) + 2)]
    for name, row in result.iterrows():
        cells = [
            f"{row[q]:.{d}f} ({row[f'{q}_low']:.{d}f}–{row[f'{q}_high']:.{d}f})" if pd.notna(row.get(q)) else "–"
            for q, d in qualities.items()
        ]
        lines.append(
            f"| {name} | " + " | ".join(cells) + f" | {row['parameters'] / 1e6:.2f} M | {row['minutes']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "table"))
    parser.add_argument("overrides", nargs="*", help="further overrides for every training")
    parser.add_argument("--store", type=Path, required=True, help="made by lexy-prepare data=hpa crops.crop_size=64")
    parser.add_argument("--outputs", type=Path, default=Path("outputs/sequence_sweep"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="train only these")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="train only these")
    parser.add_argument("--at-once", type=int, default=2, help="trainings side by side, one thread each")
    arguments = parser.parse_args()
    if arguments.what == "train":
        train(
            arguments.outputs, arguments.store, arguments.rows, arguments.seeds, arguments.at_once, arguments.overrides
        )
    else:
        table(arguments.outputs, arguments.store)


if __name__ == "__main__":
    main()
