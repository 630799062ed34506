"""Evaluate a trained network: tables, pictures and records in the run's folder."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lexy import checkpoint as checkpoints
from lexy.data.base import ClipData
from lexy.errors import UserError
from lexy.evaluation.baselines import CopiedMask, Li, MovedMask, Otsu
from lexy.evaluation.evaluate import evaluate_all
from lexy.evaluation.result_tables import Tables
from lexy.networks.network import Network, Recurrence
from lexy.networks.propagation import frame_network as without_mask
from lexy.report.clips import draw_clips
from lexy.report.console import show_results
from lexy.report.panels import draw_panels, extremes
from lexy.report.sequence_figures import draw_curves
from lexy.tasks.inference import Forward, Predictor
from lexy.tasks.starts import counted

NETWORK = "network"


def baselines(
    predict: Predictor, data: ClipData, frame_network: str | None, allow: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what a network is compared with, each started as it is: thresholds, and copies of the mask it starts from.

    Where that is the truth and the first frame of a video has none, a network that needs no mask can be evaluated all
    the same: then there are no copies, in none of the splits or folds, and the user is told.

    Parameters
    ----------
    predict : Predictor
    data : ClipData
    frame_network : str or None
        Checkpoint of a network that needs no mask: the frame-by-frame baseline.
    allow : sequence of str
        See `lexy.checkpoint.load`.
    """
    networks: dict[str, Network] = {"Otsu threshold": Otsu(), "Li threshold": Li()}
    without = data.without_first_mask()
    if predict.start.given and without and not predict.carries_mask:
        print(f"no copied masks to compare with: {len(without)} videos ({without[0]}, ...) have no mask of frame 0")
    elif predict.carries_mask or data.sequences:
        networks = {"copied first mask": CopiedMask(), "moved first mask": MovedMask(), **networks}
    if frame_network is not None:
        networks["frame by frame"] = load_frame_network(frame_network, allow)
    return {name: Predictor(network, predict.start, Forward(), predict.device) for name, network in networks.items()}


def load_frame_network(path: str, allow: Sequence[str]) -> Recurrence:
    """Return the network of a checkpoint; UserError if it needs a mask."""
    try:
        return without_mask(checkpoints.load(path, allow=allow))
    except ValueError as error:
        raise UserError(f"frame_network={path}: {error}.") from error


def checkpoint_files(plain: Any) -> list[str]:
    """Return the paths of all checkpoints that a resolved config loads."""
    if isinstance(plain, list):
        return [path for item in plain for path in checkpoint_files(item)]
    if not isinstance(plain, dict):
        return []
    own = [plain.get("path")] if plain.get("_target_") == "lexy.checkpoint.load" else []
    named = [path for path in (*own, plain.get("frame_network"), plain.get("pretrained")) if isinstance(path, str)]
    return sorted({*named, *(path for item in plain.values() for path in checkpoint_files(item))})


def evaluate_split(
    predict: Predictor, data: ClipData, split: str, facts: Mapping[str, Any], others: Mapping[str, Predictor]
) -> Tables:
    """Evaluate one split; `facts` become columns of the per-frame table, `others` are evaluated beside `predict`."""
    methods = {NETWORK: predict, **others}
    one_step = {NETWORK: predict.one_step} if predict.feeds_back and data.sequences else {}
    frames = evaluate_all(methods, data.loader(split), one_step, partial(counted, start=predict.start))
    facts = {
        **facts,
        "data": data.name,
        "split": split,
        "fold": -1 if data.fold is None else data.fold,
        "first_frame": "given" if predict.start.given and data.sequences else "counts",
    }
    for name, table in frames.items():
        method = methods[name]
        how = {
            "method": name,
            "start": method.start.name if method.carries_mask else "none",
            "rollout": "one step" if method.carries_mask and not data.sequences else method.direction.name,
        }
        for position, (column, value) in enumerate({**facts, **how}.items()):
            table.insert(position, column, value)
    return Tables.of(frames, NETWORK)


def evaluate_run(
    folder: Path,
    data: ClipData,
    task: Any,
    trainer: Any,
    loggers: list[Any],
    seed: int,
    frame_network: tuple[str | None, Sequence[str]],
    evaluation_overrides: list[str],
) -> float:
    """Evaluate the best checkpoint of a finished training on validation and test; write, draw, log and show.

    Parameters
    ----------
    folder : Path
        The run's folder.
    data, task, trainer, loggers
        Of the training.
    seed : int
        Becomes a column of the tables.
    frame_network : tuple
        Its checkpoint, or None, and the packages that it may name: see `baselines`.
    evaluation_overrides : list of str
        What `lexy-evaluate` needs to find the same data: printed for the user.

    Returns
    -------
    float
        Best `val/dice`.
    """
    path = folder / "best.ckpt"
    task.network.load_state_dict(checkpoints.weights(checkpoints.read(path)))
    predict = Predictor(task.network, task.start, Forward(), trainer.strategy.root_device)
    others = {"val": {}, "test": baselines(predict, data, *frame_network)}
    tables = {}
    for split in ("val", "test"):
        tables[split] = evaluate_split(predict, data, split, {"run": folder.name, "seed": seed}, others[split])
        tables[split].write(folder, split)
    pictures = draw_pictures(tables["val"], predict, data, "val", folder)
    for logger in loggers:
        logger.log_results(tables, pictures)
    show_results(tables["test"], folder, data, "test", evaluation_overrides)
    return float(tables["val"].summary["mean"]["dice"])


def draw_pictures(tables: Tables, predict: Predictor, data: ClipData, split: str, folder: Path) -> list[Path]:
    """Draw the worst, median and best frame; of sequences also film strips of those clips, and curves."""
    cases = extremes(tables.frames)
    pictures = draw_panels(predict, data.loader(split), cases, folder / "panels", embedded=data.embedded)
    if data.sequences:
        methods, path = {NETWORK: tables.frames, **tables.others}, folder / "panels" / "curves.png"
        pictures.append(draw_curves(methods, path, embedded=data.embedded))
        path = folder / "panels" / "clips.png"
        pictures += draw_clips(predict, data.loader(split), tables.frames, path, embedded=data.embedded)
    return pictures


def check_not_trained_on(paths: Sequence[str], data: ClipData) -> None:
    """Refuse a test on fields that one of these checkpoints, or one that it came from, was trained on or chosen by.

    Raises
    ------
    UserError
        There are such fields in the test split.
    """
    test = data.groups("test")
    contents = data.contents("test")
    for path, trained in ((one, seen) for one in paths for seen in checkpoints.trained_on(one)):
        shared = sorted(test & set(trained.get("groups", [])) or contents & set(trained.get("contents", [])))
        if shared:
            right = "null" if trained["fold"] is None else trained["fold"]
            raise UserError(
                f"{len(shared)} fields of the test split ({shared[0]}, ...) were among the training or validation "
                f"fields of {path}, or of what it started from: no test. That was trained with "
                f"data={trained['name']}, data.fold={right}. Give data.fold={right} and the same data, or choose "
                "another split."
            )
