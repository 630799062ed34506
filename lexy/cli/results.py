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
    folder: Path, data: Any, task: Any, trainer: Any, loggers: list[Any], seed: int, again: list[str]
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
    again : list of str
        The overrides that a further evaluation needs to find the same data.

    Returns
    -------
    float
        Best `val/dice`.
    """
    path = folder / "best.ckpt"
    task.network.load_state_dict(checkpoints.weights(checkpoints.read(path)))
    predict = predictor(task.network, trainer.strategy.root_device)
    tables = {}
    for split in ("val", "test"):
        tables[split] = evaluate_split(predict, data, split, {"run": folder.name, "seed": seed})
        tables[split].write(folder, split)
    cases = extremes(tables["val"].frames)
    panels = draw_panels(predict, data.loader("val"), cases, folder / "panels", embedded=data.embedded)
    for logger in loggers:
        logger.log_results(tables, panels)
    show_results(tables["test"], folder, data, "test", again)
    return float(tables["val"].summary["mean"]["dice"])


def check_not_trained_on(facts: Mapping[str, Any], data: Any) -> None:
    """Refuse a test on fields that the checkpoint was trained on or chosen by.

    Raises
    ------
    UserError
        There are such fields in the test split.
    """
    trained = facts["data"]
    shared = sorted(data.groups("test") & set(trained.get("groups", [])))
    if shared:
        right = "null" if trained["fold"] is None else trained["fold"]
        raise UserError(
            f"{len(shared)} fields of the test split ({shared[0]}, ...) were among the training or validation fields "
            f"of this checkpoint: no test. It was trained with data={trained['name']}, data.fold={right}. "
            f"Give data.fold={right} and the same data, or choose another split."
        )


def write_config(folder: Path, config: DictConfig, plain: Mapping[str, Any]) -> None:
    """Write `resolved.yaml`, every value as it was used, and `config.yaml`, from which the run can be repeated.

    In `config.yaml` one key still follows another (`task.optimizer: ${optimizer}`), so that it can be overridden; what
    comes from outside (environment, Hydra) is resolved.
    """
    with replacing(folder / "resolved.yaml") as temporary:
        temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(dict(plain))))
    head = (
        "# The config of this run (resolved.yaml has every value as it was used). To repeat it:\n"
        f"#   lexy-train --config-dir {folder} --config-name config\n"
    )
    linked = OmegaConf.to_container(config, resolve=False)
    assert isinstance(linked, dict)
    linked |= {key: plain[key] for key in ("paths", "label")}
    values = {"defaults": ["folders", "_self_", {"override hydra/job_logging": "stdout"}], **linked}
    with replacing(folder / "config.yaml") as temporary:
        temporary.write_text(head + OmegaConf.to_yaml(OmegaConf.create(values)))
