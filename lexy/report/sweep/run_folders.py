"""Run folders as they lie on disk: what they are, how far they came, what they left."""

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from lexy.errors import UserError
from lexy.files import in_use

KILLED = "killed"  # running by its status, while no process holds its folder
NOT_DONE = {
    KILLED: "its status says running, but no process of this machine has the folder: it was killed",
    "running": "still going",
    "unread": "its status.json cannot be read",
}
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML has it


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes
    ----------
    folder : Path
    status : mapping
        `status.json`; any key may be missing in older runs.
    state : str
        running, done, failed, interrupted, pruned; `killed`; `unread` where there is no readable status.
    """

    folder: Path
    status: Mapping[str, Any]
    state: str

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.name

    @property
    def reason(self) -> str:
        """Why there is no result, in one line; empty for a run that is done."""
        if self.state == "done":
            return ""
        given = str(self.status.get("reason") or NOT_DONE.get(self.state, ""))
        return next(iter(given.strip().splitlines()), "")

    @property
    def attempt(self) -> int:
        """From the status, else from the folder's name."""
        match = re.fullmatch(r".*-[0-9a-f]{8}-(\d+)", self.name)
        return int(self.status.get("attempt") or (match[1] if match else 1))

    @property
    def data(self) -> Mapping[str, Any]:
        """Name, fingerprint, fold and whether it is the phantom, as far as known."""
        return self.status.get("data") or {}

    def config(self) -> dict[str, Any]:
        """`resolved.yaml`.

        Raises
        ------
        UserError
            It is not there or no mapping.
        """
        path = self.folder / "resolved.yaml"
        try:
            plain = yaml.load(path.read_text(encoding="utf-8"), Loader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"{path} cannot be read: {error}. Run this job again, or take its folder away.") from error
        if not isinstance(plain, dict):
            raise UserError(f"{path} holds no settings. Run this job again, or take its folder away.")
        return plain

    def epochs(self) -> list[dict[str, float]]:
        """A dict for each row of `metrics.csv`; empty where there is none."""
        try:
            with (self.folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
                return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
        except (FileNotFoundError, ValueError, TypeError):  # just being written
            return []

    def panel(self, *names: str) -> Path | None:
        """The first of these pictures that there is."""
        paths = (self.folder / "panels" / f"{name}.png" for name in names)
        return next((path for path in paths if path.is_file()), None)


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """Every run in or below these folders, each once, sorted by path.

    Raises
    ------
    UserError
        A folder does not exist, or none of them holds a run.
    """
    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        raise UserError(f"{missing[0]}: no such folder. Give the folder of a sweep, outputs/NAME.")
    found = sorted({path for folder in folders for path in _run_folders(folder.resolve())})
    if not found:
        raise UserError(
            f"{', '.join(map(str, folders))}: no run in or below; a run's folder holds status.json. "
            "Give the folder of a sweep, outputs/NAME."
        )
    return [read_run(folder) for folder in found]


def read_run(folder: Path) -> Run:
    """A run by its small files alone."""
    try:
        status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        status = None
    if not isinstance(status, dict):
        return Run(folder, {}, "unread")
    state = str(status.get("state", "unread"))
    return Run(folder, status, KILLED if state == "running" and not in_use(folder) else state)


def _run_folders(folder: Path) -> Iterator[Path]:
    """Runs hold no runs, so that nothing below one is looked at."""
    for parent, below, files in os.walk(folder):
        if "status.json" in files:
            yield Path(parent)
            below.clear()
        below[:] = sorted(name for name in below if not name.startswith("."))
