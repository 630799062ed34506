"""Start from the weights of another checkpoint, and write down which of them were taken."""

from pathlib import Path
from typing import Any

import pandas as pd

from lexy.checkpoint import read, weights
from lexy.errors import UserError
from lexy.files import replacing
from lexy.networks.transfer import transfer


def load_pretrained(network: Any, path: str) -> pd.DataFrame:
    """Copy the weights that fit into a network.

    Parameters
    ----------
    network : Module
        Changed in place.
    path : str
        A checkpoint that lexy-train wrote; only its weights are looked at.

    Returns
    -------
    DataFrame
        The columns of `lexy.networks.transfer.Moved`, one row for each tensor.

    Raises
    ------
    UserError
        As for `lexy.checkpoint.read`, or nothing fits.
    """
    if not Path(path).is_file():
        raise UserError(
            f"pretrained={path}: no such file. Give a checkpoint of lexy-train: pretrained=FOLDER/best.ckpt."
        )
    try:
        return pd.DataFrame(transfer(network, weights(read(path))))
    except ValueError as error:
        raise UserError(f"pretrained={path}: {error}. Give the backbone that it was trained with.") from error


def record_transfer(transferred: pd.DataFrame, path: str, folder: Path) -> None:
    """Write what `load_pretrained` returned to a run's `pretrained.csv` and `run.log`, its counts to the console."""
    with replacing(folder / "pretrained.csv") as temporary:
        transferred.to_csv(temporary, index=False)
    with (folder / "run.log").open("a") as log:
        log.write(f"pretrained={path}\n{transferred.to_string(index=False)}\n")
    counts = ", ".join(f"{count} {how}" for how, count in transferred["how"].value_counts(sort=False).items())
    print(f"pretrained={path}: {len(transferred)} tensors: {counts} (each in {folder / 'pretrained.csv'})")
