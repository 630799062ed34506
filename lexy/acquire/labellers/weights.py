"""Find, download and read Cellpose's weights, without running code that they hold."""

import os
import pickle
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import httpx
import numpy as np
from rich.console import Console

from lexy.errors import UserError
from lexy.files import replacing

VARIABLE = "CELLPOSE_LOCAL_MODELS_PATH"
ADDRESSES = {"3": "https://www.cellpose.org/models", "4": "https://huggingface.co/mouseland/cellpose-sam/resolve/main"}
_FIRST_NAMES = ("cyto", "cyto2", "nuclei")  # their files are named nucleitorch_0 and so on


def is_path(model: str) -> bool:
    """Return whether a model is given as a weights file, not by name."""
    return "/" in model or "\\" in model or Path(model).is_file()


def check_path(model: str) -> None:
    """Check that the weights file exists (Cellpose itself would use another one).

    Raises
    ------
    UserError
        If the model is given as a file that does not exist.
    """
    if is_path(model) and not Path(model).is_file():
        raise UserError(
            f"labeller.model={model}: no such file. Name a weights file that is there, or a model by its name: that "
            f"is looked for in {os.environ.get(VARIABLE, '~/.cellpose/models')} (the variable {VARIABLE})."
        )


def find_weights(model: str | None, models: ModuleType, version: str) -> Path:
    """Return the weights file of a model; download it if it is missing and Cellpose publishes it.

    Parameters
    ----------
    model : str or None
        Path or name; None: `nuclei` if the installed Cellpose has it, otherwise its first model.
    models : module
        `cellpose.models`.
    version : str
        Version of Cellpose.

    Raises
    ------
    UserError
        If there is no such file or model, or it cannot be downloaded.
    """
    name = model or ("nuclei" if "nuclei" in models.MODEL_NAMES else models.MODEL_NAMES[0])
    if is_path(name):
        check_path(name)
        return Path(name)
    if name not in models.MODEL_NAMES:
        raise UserError(
            f"labeller.model={name}: neither a file nor a model of the installed Cellpose {version}. "
            f"Its models: {', '.join(models.MODEL_NAMES)}."
        )
    return _download_if_missing(Path(models.MODEL_DIR) / (f"{name}torch_0" if name in _FIRST_NAMES else name), version)


def find_size_weights(weights: Path, models: ModuleType, version: str) -> Path:
    """Return the size model of these weights; download it if it is missing and Cellpose publishes it.

    Raises
    ------
    UserError
        If there is none.
    """
    beside = [weights.with_name(f"size_{weights.name}.npy"), weights.with_name(f"{weights.name}_size.npy")]
    for file in beside:
        if file.is_file():
            return file
    if weights.parent == Path(models.MODEL_DIR):
        return _download_if_missing(beside[0], version)
    raise UserError(
        f"{beside[1]}: no such file, and the automatic diameter needs it. "
        "Put it there, or give the nuclei's diameter in pixels: labeller.diameter=NUMBER."
    )


def _download_if_missing(file: Path, version: str) -> Path:
    if file.is_file():
        return file
    address = f"{ADDRESSES[version.partition('.')[0]]}/{file.name}"
    Console(stderr=True).print(f"Fetching {address} into {file.parent}")
    try:
        with (
            replacing(file) as temporary,
            temporary.open("wb") as out,
            # Not by Cellpose's own function: it turns off the check of certificates for the whole process.
            httpx.stream("GET", address, follow_redirects=True, timeout=30) as answer,
        ):
            answer.raise_for_status()
            for block in answer.iter_bytes():
                out.write(block)
    except (httpx.HTTPError, OSError) as error:
        reason = f"status {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else str(error)
        raise UserError(
            f"Cellpose's weights {file.name} are not in {file.parent} and {address} cannot be fetched ({reason}). Put "
            f"the file into that folder, set {VARIABLE} to the folder that has it, or name a file: labeller.model=PATH."
        ) from error
    return file


def read_keys(weights: Path) -> set[str]:
    """Return the names of the arrays in a weights file, without running code that it holds.

    Raises
    ------
    UserError
        If it is no weights file, or holds more than arrays.
    """
    import torch

    try:
        state = torch.load(weights, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(weights))
        return {key.removeprefix("module.") for key in state}
    except Exception as error:  # foreign bytes may raise anything
        raise UserError(
            f"{weights}: no weights that can be read safely ({first_line(error)}). Remove it, or name another file."
        ) from error


def read_size_weights(file: Path) -> dict[str, Any]:
    """Read the regression from Cellpose's style to the diameter, without running code that the file holds.

    Returns
    -------
    dict
        Arrays `A` and `smean`, numbers `diam_mean` (pixels) and `ymean`.

    Raises
    ------
    UserError
        If the file holds anything else.
    """
    try:
        with file.open("rb") as opened:
            np.lib.format.read_magic(opened)
            np.lib.format.read_array_header_1_0(opened)
            values = _ArraysOnly(opened).load().item()
        return {name: np.asarray(values[name], float) for name in ("A", "smean", "diam_mean", "ymean")}
    except Exception as error:  # foreign bytes may raise anything
        raise UserError(
            f"{file}: no size model of Cellpose that can be read safely ({first_line(error)}). "
            "Remove it, or give the nuclei's diameter in pixels: labeller.diameter=NUMBER."
        ) from error


class _ArraysOnly(pickle.Unpickler):
    """Unpickle NumPy arrays and plain values; refuse a file that names anything else before it is called."""

    ALLOWED = frozenset(
        {(module, name) for module in ("numpy.core.multiarray", "numpy._core.multiarray")
         for name in ("_reconstruct", "scalar")}
        | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
    )  # fmt: skip

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]
