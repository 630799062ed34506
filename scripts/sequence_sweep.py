"""Make the table of docs/results.md: networks and ways of training on synthetic sequences, with baselines.

    python scripts/sequence_sweep.py train --store outputs/data/hpa64     # hours on 2 cores; a finished run is kept
    python scripts/sequence_sweep.py table --store outputs/data/hpa64

Each row is one `lexy-train` for each seed, with the overrides below. The table evaluates all of them on the test split
of both protocols, from the true first mask, and writes per-frame rows, a CSV, curves and film strips for each protocol.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from torch import nn

import lexy
from lexy.data.sequences.protocol import Protocol
from lexy.data.sequences.published import Published
from lexy.data.sequences.translocation import Translocation
from lexy.data.stills import HPAStills
from lexy.data.synthetic import SyntheticSequences
from lexy.evaluation.baselines import CopiedMask, Li, MovedMask, Otsu
from lexy.evaluation.comparison import comparison
from lexy.evaluation.evaluate import evaluate_all
from lexy.files import replacing, sha256
from lexy.networks.fusion import Fusion
from lexy.report.clips import draw_clips
from lexy.report.markdown import comparison_markdown
from lexy.report.sequence_figures import draw_curves
from lexy.tasks.inference import BothWays, Direction, Forward, Predictor
from lexy.tasks.starts import TrueMask, counted

PROTOCOLS: dict[str, Protocol] = {"published": Published(max_contrast=0.2), "lexy": Translocation()}
FRAME, TRACK, BEST = "U-Net, synthetic frames", "Track-Net, unrolled", "Move-Net, wide ranges"
THREE_SEEDS = (FRAME, BEST)
# In every row about as many frames a step and as many minutes in all. Training moves cells more than either test does.
STILLS = ["data=hpa", "data.batch_size=40", "start=perturbed", "trainer.max_epochs=200"]
MOTION = ["data.protocol.drift=0.04", "data.protocol.stretch=0.08", "data.protocol.rotation=8"]
CLIPS = ["data=synthetic", "data/stills=hpa", "data.clips_per_epoch=96", "start=truth", *MOTION]
WINDOWS = [*CLIPS, "training=unrolled", "trainer.max_epochs=60"]
# What has no memory of the frames between may be shown fewer of them: the same experiment in 10 frames instead of 30.
SPARSE = [*CLIPS, "data.protocol.frames=10", "data.protocol.interval=100", "data.batch_size=12"]
SPARSE += ["trainer.max_epochs=75"]
# The published clips are brighter, cleaner and of higher contrast than anything in LEXY's own ranges.
WIDE = ["before=[1.3,12]", "during=[0.15,0.8]", "photons=[60,6000]", "edge=[0.3,1.4]", "background=[0,0.06]"]
MOVENET = ["model=movenet", "training=unrolled", "training.noise=null", "training.lengths=[4]"]
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
    "Move-Net": [*SPARSE, *MOVENET],
    BEST: [*SPARSE, *MOVENET, *(f"data.protocol.{item}" for item in WIDE)],
}


class Run(NamedTuple):
    """A row with a seed, and the folder of its training."""

    row: str
    seed: int
    folder: Path


def runs(outputs: Path) -> list[Run]:
    """Return all trainings of the sweep."""
    every = [(row, seed) for row in ROWS for seed in (range(3) if row in THREE_SEEDS else range(1))]
    return [Run(row, seed, outputs / f"{_file_name(row)}_{seed}") for row, seed in every]


def finished(run: Run) -> Path | None:
    """Return the folder of the finished training, or None."""
    for status in run.folder.glob("sequences/*/status.json"):
        if json.loads(status.read_text())["state"] == "done":
            return status.parent
    return None


def train(outputs: Path, store: Path, rows: list[str], seeds: list[int], at_once: int, extra: list[str]) -> None:
    """Train what is not finished, `at_once` runs at a time, one thread each; with a log in the folder of each row."""

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


class Method(NamedTuple):
    """A method in the table; `name` is its row, `digest` identifies its checkpoints.

    `minutes` are those of the training of all networks in it; nan where nothing is trained.
    """

    name: str
    seed: int
    network: Any
    direction: Direction = Forward()
    digest: str = ""
    minutes: float = math.nan


def methods(outputs: Path) -> list[Method]:
    """Return all methods of the table; print the rows that are not trained yet."""
    found = [
        Method("copied first mask", 0, CopiedMask()),
        Method("moved first mask", 0, MovedMask()),
        Method("Otsu threshold", 0, Otsu()),
        Method("Li threshold", 0, Li()),
    ]
    trained: dict[tuple[str, int], Method] = {}
    for run in runs(outputs):
        folder = finished(run)
        if folder is None:
            print(f"not trained yet: {run.row}, seed {run.seed}")
            continue
        path = folder / "best.ckpt"
        digest = sha256(path)[:8]
        trained[run.row, run.seed] = Method(run.row, run.seed, lexy.load(path), Forward(), digest, _minutes(folder))
    found += trained.values()
    frame = trained.get((FRAME, 0))
    for name in (TRACK, BEST):
        other = trained.get((name, 0))
        if frame is not None and other is not None:
            both = frame.digest + other.digest, frame.minutes + other.minutes
            fusion = Fusion(frame.network, other.network)
            found.append(Method(f"fusion of U-Net and {name}", 0, fusion, Forward(), *both))
            found.append(Method(f"{name}, forward + backward", 0, other.network, BothWays(frame.network), *both))
    return found


def measured(method: Method, data: SyntheticSequences, folder: Path) -> pd.DataFrame:
    """Return per-frame rows on the test split; keep them in `folder` for the next table, even if the code changes."""
    path = folder / f"{_file_name(method.name)}_{method.seed}_{method.digest}.parquet"
    if not path.exists():
        predict = _predictor(method)
        one_step = {"": predict.one_step} if method.digest and predict.feeds_back else {}
        rows = evaluate_all({"": predict}, data.loader("test"), one_step, partial(counted, start=predict.start))[""]
        with replacing(path) as temporary:
            rows.assign(method=method.name, seed=method.seed).to_parquet(temporary)
        if method.seed == 0:
            draw_clips(predict, data.loader("test"), rows, path.with_suffix(".png"), embedded=False)
    return pd.read_parquet(path)


def table(outputs: Path, store: Path, protocol: str) -> None:
    """Evaluate all trained methods; write and print the table of a protocol."""
    data = SyntheticSequences(partial(HPAStills, store=str(store)), PROTOCOLS[protocol])
    folder = outputs / "tables" / f"{protocol}_{data.fingerprint()[:8]}"
    every = methods(outputs)
    tables: dict[str, pd.DataFrame] = {}
    for method in every:
        tables[method.name] = pd.concat([tables.get(method.name), measured(method, data, folder)])
    result = comparison(tables, BEST if BEST in tables else FRAME)
    result = result.join(costs(every))
    result.to_csv(folder / "comparison.csv")
    drawn = {name: table for name, table in tables.items() if "threshold" not in name}
    draw_curves(drawn, folder / "curves.png", embedded=False)
    print(f"\n{protocol}: {len(data.rows('test'))} clips of {len(data.groups('test'))} fields")
    facts = {title: _texts(result[title], form) for title, form in (("parameters", "{:.2f} M"), ("minutes", "{:.1f}"))}
    print(comparison_markdown(result, facts))


def _texts(column: "pd.Series[float]", form: str) -> dict[str, str]:
    return {str(name): form.format(value) for name, value in column.dropna().items()}


def costs(every: Sequence[Method]) -> pd.DataFrame:
    """Return `parameters` in millions and `minutes` of training of each row, means over seeds; NaN where unknown."""
    rows = [(method.name, _parameters(method), method.minutes) for method in every]
    table = pd.DataFrame(rows, columns=["method", "parameters", "minutes"])
    return table.groupby("method", sort=False).mean()


def _predictor(method: Method) -> Predictor:
    return Predictor(method.network, TrueMask(), method.direction)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w-]+", "_", name).lower()


def _parameters(method: Method) -> float:
    """Return the parameters, in millions, of all networks of a method; NaN if it has none."""
    networks = (method.network, getattr(method.direction, "network", None))
    count = sum(p.numel() for network in networks if isinstance(network, nn.Module) for p in network.parameters())
    return count / 1e6 if count else math.nan


def _minutes(folder: Path) -> float:
    """Return the training time of a run in minutes, from its epoch log."""
    return float(pd.read_csv(folder / "metrics.csv")["train/seconds"].sum() / 60)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "table"))
    parser.add_argument("overrides", nargs="*", help="further overrides for every training")
    parser.add_argument("--store", type=Path, required=True, help="made by lexy-prepare data=hpa crops.crop_size=64")
    parser.add_argument("--outputs", type=Path, default=Path("outputs/sequence_sweep"))
    parser.add_argument("--protocols", nargs="+", choices=list(PROTOCOLS), default=list(PROTOCOLS), help="of the table")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="train only these")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="train only these")
    parser.add_argument("--at-once", type=int, default=2, help="trainings side by side, one thread each")
    arguments = parser.parse_args()
    outputs, store = arguments.outputs, arguments.store
    if arguments.what == "train":
        train(outputs, store, arguments.rows, arguments.seeds, arguments.at_once, arguments.overrides)
    else:
        for protocol in arguments.protocols:
            table(outputs, store, protocol)


if __name__ == "__main__":
    main()
