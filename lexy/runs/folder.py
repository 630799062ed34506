"""The folder of a run: found by the run's identity, made, shared between processes; the status in it."""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from lexy.errors import UserError
from lexy.files import in_use, write_json
from lexy.runs.identity import identity

FOLDER_OF_LEADER = "LEXY_RUN_FOLDER"  # environment variable for the processes that the leader starts
LEADER_PATIENCE = 300.0  # seconds that the others wait for the first process of a Slurm job


class Status:
    """What is known of a run while and after it runs: `status.json` in its folder.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "status.json"

    def read(self) -> dict[str, Any]:
        """Return the values; an empty dict if there are none yet."""
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def update(self, **values: Any) -> None:
        """Add or replace plain values."""
        write_json(self.path, self.read() | values)


def current_status(folder: Path) -> dict[str, Any]:
    """Read the status of a run: running while a process holds its folder, interrupted if only the file says running."""
    status = Status(folder).read()
    state = status.get("state", "running")
    if state != "done" and in_use(folder):
        return status | {"state": "running"}
    return status | {"state": "interrupted" if state == "running" else state}


def attempt_folders(parent: Path, digits: str) -> list[Path]:
    """Return the folders of all runs with an identity, the oldest first."""
    pattern = re.compile(rf".*-{digits}(-\d+)?")
    found = (folder for folder in parent.glob(f"*-{digits}*") if pattern.fullmatch(folder.name) and folder.is_dir())
    return sorted(found, key=attempt_number)


def attempt_number(folder: Path) -> int:
    """Return which attempt at its identity a run's folder holds, from 1."""
    match = re.fullmatch(r".*-[0-9a-f]{8}(?:-(\d+))?", folder.name)
    return int(match[1] or 1) if match else 1


def new_folder(parent: Path, label: str, digits: str) -> Path:
    """Make a folder that no other process has, `LABEL-DIGITS` or `LABEL-DIGITS-ATTEMPT`."""
    parent.mkdir(parents=True, exist_ok=True)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", label).strip("._") or "run"
    attempt = len(attempt_folders(parent, digits)) + 1
    while True:
        folder = parent / (f"{safe}-{digits}" if attempt == 1 else f"{safe}-{digits}-{attempt}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            attempt += 1


def is_leader() -> bool:
    """Return whether this process keeps the records: of several that train one network together, the first does."""
    ranks = ["LOCAL_RANK"]  # set by Lightning for those that it starts
    if int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        ranks = ["SLURM_PROCID"]
    return all(os.environ.get(rank, "0") == "0" for rank in ranks)


def open_folder(config: DictConfig, data: Any) -> tuple[Path, dict[str, Any] | None]:
    """Find or make the folder of a run.

    Parameters
    ----------
    config : DictConfig
        Of the job, with its interpolations, while Hydra runs it.
    data : datamodule

    Returns
    -------
    folder : Path
        That of an interrupted run with this identity if it is to be resumed; that of the leader in its other
        processes; else a new one.
    status : dict or None
        If this run is done already and only to be shown.

    Raises
    ------
    UserError
        The leader has made none.
    """
    parent, digits = Path(config.paths.outputs) / config.name, identity(config, data.fingerprint())
    if not is_leader():
        return _folder_of_leader(parent, digits), None
    folders = attempt_folders(parent, digits) if _resumes(config) else []
    if folders:
        status = current_status(folders[-1])
        if status["state"] not in ("failed", "pruned"):  # those get a folder of their own
            return folders[-1], status if status["state"] == "done" else None
    return new_folder(parent, config.label, digits), None


def last_status(config: DictConfig) -> dict[str, Any]:
    """Return the status of the last run with the identity of a sweep's job; empty if there is none to go on from."""
    from lexy.config.build import build
    from lexy.data.base import checked

    if config.resume == "never":
        return {}
    data = checked(build(config.data, "data"))
    folders = attempt_folders(Path(config.paths.outputs) / config.name, identity(config, data.fingerprint()))
    return current_status(folders[-1]) if folders else {}


def in_sweep() -> bool:
    """Return whether Hydra runs this job as one of several."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def _resumes(config: DictConfig) -> bool:
    """A sweep that is launched again goes on, a single run starts again, unless the user says otherwise."""
    return bool(config.resume == "auto" or (config.resume is None and in_sweep()))


def _folder_of_leader(parent: Path, digits: str) -> Path:
    if FOLDER_OF_LEADER in os.environ:  # the first process started this one
        return Path(os.environ[FOLDER_OF_LEADER])
    end = time.monotonic() + LEADER_PATIENCE
    while time.monotonic() < end:
        for folder in reversed(attempt_folders(parent, digits)):
            if Status(folder).read().get("slurm_job") == os.environ["SLURM_JOB_ID"]:
                return folder
        time.sleep(0.2)
    raise UserError(f"{parent}: the first process of Slurm job {os.environ['SLURM_JOB_ID']} has made no folder here.")
