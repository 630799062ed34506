"""Lightning's trainer, with settings that follow the device."""

import logging
from functools import wraps
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.precision.precision import _PRECISION_INPUT
from pytorch_lightning.accelerators import CUDAAccelerator, MPSAccelerator


class Trainer(pl.Trainer):
    """Lightning's trainer, for which 'auto' may stand for what suits the device.

    The config, and with it the identity of a run, keeps the word: a sweep can go on on another device.

    Parameters
    ----------
    precision : str or int, optional
        'auto': see `fast_precision`.
    deterministic : bool or str, optional
        'auto': True on a CPU. On a GPU the backward pass of grid_sample and others has no deterministic form.
    benchmark : bool or str, optional
        'auto': True on a GPU.
    **settings
        As Lightning's trainer takes them.
    """

    @wraps(pl.Trainer.__init__)  # type: ignore[misc]  # a config is checked against the signature
    def __init__(self, **settings: Any) -> None:
        device = device_type(settings.get("accelerator", "auto"))
        if settings.get("precision") == "auto":
            settings["precision"] = fast_precision(device)
        if settings.get("deterministic") == "auto":
            settings["deterministic"] = device == "cpu"
        if settings.get("benchmark") == "auto":
            settings["benchmark"] = device != "cpu"
        super().__init__(**settings)

    __init__.__annotations__ = pl.Trainer.__init__.__annotations__ | {
        "precision": _PRECISION_INPUT | Literal["auto"] | None,
        "deterministic": bool | Literal["warn", "auto"] | None,
        "benchmark": bool | Literal["auto"] | None,
    }


def device_type(accelerator: str) -> str:
    """Return the type of torch's device ('cuda', 'mps', 'cpu', ...) that Lightning chooses for an accelerator."""
    if accelerator in ("auto", "gpu"):
        found = {"mps": MPSAccelerator.is_available(), "cuda": CUDAAccelerator.is_available()}
        return next((name for name in found if found[name]), "cpu")
    return accelerator


def fast_precision(device: str) -> str:
    """Return 'bf16-mixed' where a type of device computes in bf16 by itself, else '32-true'.

    The processor is asked for its instructions. oneDNN says that it supports bf16 where it emulates it (ten times
    slower), and a measurement could give another answer, and so other digits, while the machine is busy.
    """
    if device == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if native else "32-true"


def computes_with(trainer: pl.Trainer) -> dict[str, Any]:
    """Return, and log, what a trainer computes with: device, precision, and threads for each tensor operation."""
    used = {
        "device": str(trainer.strategy.root_device),
        "precision": trainer.precision,
        "threads": torch.get_num_threads(),
    }
    logging.getLogger("lexy").info(", ".join(f"{name}: {value}" for name, value in used.items()))
    return used
