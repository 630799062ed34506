"""From a trained network to tables, pictures and records in the run's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from lexy import checkpoint as checkpoints
from lexy.errors import UserError
from lexy.evaluation.evaluate import evaluate
from lexy.evaluation.results import Tables
from lexy.evaluation.summary import published_summary, summarise
from lexy.files import replacing
from lexy.networks.rollout import rollout
from lexy.report.console import show_results
from lexy.report.panels import draw_panels, extremes


def predictor(network: nn.Module, device: torch.device | str) -> Any:
    """A function from a clip to its logits on the CPU, free-running."""
    # The memory format of training would change the last digits.
    network = network.eval().to(device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def predict(clip: Mapping[str, Any]) -> Tensor:
        return rollout(network, clip["frames"].to(device)).cpu()  # type: ignore[arg-type]

    return predict


def evaluate_split(predict: Any, data: Any, split: str, facts: Mapping[str, Any]) -> Tables:
    """Tables of one split; `facts` become columns of the per-frame table."""
    frames = evaluate(predict, data.loader(split))
    facts = {
        **facts,
        "data": data.name,
        "split": split,
        "fold": -1 if data.fold is None else data.fold,
        "start": "none",
    }
    for position, (column, value) in enumerate(facts.items()):
        frames.insert(position, column, value)
    return Tables(frames, summarise(frames), published_summary(frames))


def evaluate_run(
    folder: Path, data: Any, task: Any, trainer: Any, loggers: list[Any], plain: Mapping[str, Any]
) -> float:
    """Evaluate the best checkpoint of a finished training on validation and test; write, draw, log and show.

    Returns
    -------
    float
        Best `val/dice`.
    """
    path = folder / "best.ckpt"
    if not path.exists():  # fast_dev_run saves nothing
        trainer.save_checkpoint(path)
    task.network.load_state_dict(checkpoints.weights(checkpoints.read(path)))
    predict = predictor(task.network, trainer.strategy.root_device)
    tables = {}
    for split in ("val", "test"):
        tables[split] = evaluate_split(predict, data, split, {"run": folder.name, "seed": plain["seed"]})
        tables[split].write(folder, split)
    cases = extremes(tables["val"].frames)
    panels = draw_panels(predict, data.loader("val"), cases, folder / "panels", embedded=data.embedded)
    for logger in loggers:
        logger.log_results(tables, panels)
    show_results(tables["test"], folder, data, "test")
    return float(tables["val"].summary["mean"]["dice"])


def check_not_trained_on(facts: Mapping[str, Any], data: Any) -> None:
    """Refuse an evaluation whose test split held training data.

    Raises
    ------
    UserError
        The checkpoint was trained on the same data with another fold.
    """
    trained = facts["data"]
    if trained.get("fingerprint") == data.fingerprint() and trained.get("fold") != data.fold:
        right = "null" if trained["fold"] is None else trained["fold"]
        raise UserError(
            f"data.fold={data.fold}: this checkpoint was trained on the same data with data.fold={right}, so other "
            f"folds' test fields were its training fields. Give data.fold={right}."
        )


def write_config(folder: Path, config: DictConfig, plain: Mapping[str, Any]) -> None:
    """Write the resolved config so that it is a primary config of its own."""
    head = (
        f"# The resolved config of this run. To repeat it:\n#   lexy-train --config-dir {folder} --config-name config\n"
    )
    values = {"defaults": ["folders", "_self_", {"override hydra/job_logging": "stdout"}], **plain}
    with replacing(folder / "config.yaml") as temporary:
        temporary.write_text(head + OmegaConf.to_yaml(OmegaConf.create(values)))
