"""The published study's figures beside the rows that they belong to, and where the two were not made alike."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from lexy.evaluation.summary import PUBLISHED, published_summary
from lexy.report.sweep.grouping import Comparison, Row
from lexy.report.sweep.variation import class_name

FILE = Path(__file__).with_name("published_results.csv")
COLUMNS = dict(zip(PUBLISHED, ("dice", "sensitivity", "specificity", "hausdorff_px"), strict=True))
LOSSES = {"DiceLoss": "dice", "WeightedBCELoss": "bce", "CombinedLoss": "combined"}
EPOCHS = {"hpa": {"unet": 100, "tracknet": 100, "siamnet": 50}, "lexy": {"unet": 10}}
TEMPORAL = {"tracknet", "siamnet"}
SIDE = 128  # pixels of the study's frames


@dataclass(frozen=True)
class Published:
    """A row of a comparison and the matching one of the study.

    Attributes
    ----------
    row : str
    study : str
        What it is there.
    ours, theirs : mapping
        Metric → mean and standard deviation, as the study averages them.
    units, study_units : int
        Crops or videos; 0 where the study does not tell.
    differs : tuple of str
        Where the protocol is another.
    """

    row: str
    study: str
    ours: Mapping[str, tuple[float, float]]
    theirs: Mapping[str, tuple[float, float]]
    units: int
    study_units: int
    differs: tuple[str, ...]


@cache
def published_results() -> pd.DataFrame:
    """Read the study's test metrics, a row for each evaluated unit and run."""
    return pd.read_csv(FILE, dtype={"pretrained_on": "object"})


def beside_published(comparison: Comparison) -> list[Published]:
    """Find the rows of a comparison for which the study has the same data, architecture, backbone and loss."""
    return [pair for row in comparison.networks for pair in _pairs(row)]


def _pairs(row: Row) -> Iterator[Published]:
    config = row.runs[0].config
    kind, architecture, backbone, loss = _kind(row, config)
    table = published_results()
    same = (table["dataset"] == kind) & (table["architecture"] == architecture)
    same &= (table["backbone"] == backbone) & (table["loss"] == loss)
    if kind == "lexy":
        same &= table["pretrained_on"].notna() == (config.get("pretrained") is not None)
    if not same.any() or not set(PUBLISHED) <= set(row.frames):
        return
    found = published_summary(row.frames)
    ours = {str(name): (float(one["mean"]), float(one["sd"])) for name, one in found.iterrows()}
    differs = tuple(_differences(row, config, kind, architecture))
    for attempt, units in table[same].assign(attempt=table["attempt"].fillna(0).astype(int)).groupby("attempt"):
        theirs = {name: (units[f"{of}_mean"].mean(), units[f"{of}_sd"].mean()) for name, of in COLUMNS.items()}
        study = " ".join(filter(None, (architecture, backbone, loss, f"attempt {attempt!s}" if attempt else "")))
        count = int(units["unit"].notna().sum())
        yield Published(row.name, study, ours, theirs, int(found["units"]["dice"]), count, differs)


def _kind(row: Row, config: Mapping[str, Any]) -> tuple[str, str, str, str]:
    model = config.get("model") or {}
    backbone = class_name(model.get("backbone")) or class_name(config.get("backbone")) or ""
    loss = LOSSES.get(class_name(config.get("loss")) or "", "")
    return str(row.frames["data"].iloc[0]), (class_name(model) or "").lower(), backbone.lower(), loss


def _differences(row: Row, config: Mapping[str, Any], kind: str, architecture: str) -> Iterator[str]:
    """The study's way and ours, where they are known to differ; every rule names its own."""
    if any(one.run.data.get("embedded") for one in row.runs):
        yield "generated phantom cells, not microscopy"
    if kind != "lexy":
        yield f"{row.frames.get('split', pd.Series(['?'])).iloc[0]} split, the study: validation split"
    yield "best epoch by validation Dice, the study: the last one"
    if len(row.runs) > 1 and row.seeds > 1:
        yield f"{row.seeds} seeds averaged, the study: one run"
    side = _side(row)
    if side not in (SIDE, None):
        yield f"distances in pixels of frames of {side:g} px, the study: {SIDE}"
    if kind == "synthetic":
        yield "trained on sequences, the study: on stills"
    protocol = class_name((config.get("data") or {}).get("protocol"))
    if kind == "synthetic" and protocol != "Published":
        yield f"sequences by the protocol {protocol}, the study: its own (data/protocol=published)"
    start = str(row.frames.get("start", pd.Series(["none"])).iloc[0])
    if architecture in TEMPORAL and start != "perturbed":
        yield f"start={start}, the study: the warped true mask of the first frame"
    for path, study, unless in _settings(kind, architecture):
        value = _get(config, path)
        if value is not None and not unless(value):
            yield f"{path}={_word(value)}, the study: {study}"


def _settings(kind: str, architecture: str) -> Iterator[tuple[str, str, Callable[[Any], bool]]]:
    """Key, the study's value and whether ours is that."""
    yield "optimizer", "Adam", lambda value: class_name(value) == "Adam"
    yield "optimizer.lr", "0.0001", lambda value: value == 1e-4
    yield "data.batch_size", "32", lambda value: value == 32
    epochs = EPOCHS.get(kind, EPOCHS["hpa"]).get(architecture)
    yield "trainer.max_epochs", f"{epochs}", lambda value: value == epochs
    yield "backbone.width", "64", lambda value: value == 64
    yield "backbone.normalization", "none", lambda value: value in (None, "none")
    yield "training", "one step from a perturbed mask", lambda value: class_name(value) == "OneStep"
    if architecture in TEMPORAL:
        yield "training.noise", "its own", lambda value: class_name(value) == "PublishedNoise"
    if kind == "lexy":
        yield "data.preparation", "its own", lambda value: "Published" in (class_name(value) or "")


def _side(row: Row) -> float | None:
    """Of a square frame as large as those measured, pixels."""
    counts = ["tp", "fp", "fn", "tn"]
    if not set(counts) <= set(row.frames):
        return None
    return round(float(row.frames[counts].iloc[0].sum()) ** 0.5, 1)


def _get(config: Mapping[str, Any], path: str) -> Any:
    value: Any = config
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _word(value: Any) -> str:
    return class_name(value) or str(value)
