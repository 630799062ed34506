"""Run folders on disk: their state, progress and files."""

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
        """The name of the folder."""
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
        """The number of the attempt, from the status, else from the folder's name."""
        match = re.fullmatch(r".*-[0-9a-f]{8}-(\d+)", self.name)
        return int(self.status.get("attempt") or (match[1] if match else 1))

    @property
    def data(self) -> Mapping[str, Any]:
        """The data's name, fingerprint and fold, and whether they are the phantom, as far as known."""
        return self.status.get("data") or {}

    def config(self) -> dict[str, Any]:
        """Read the settings, `resolved.yaml`.

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
        """Read `metrics.csv`, a dict for each row; empty where there is no file."""
        try:
            with (self.folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
                return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
        except (FileNotFoundError, ValueError, TypeError):  # just being written
            return []

    def panel(self, *names: str) -> Path | None:
        """Return the path of the first of these pictures that exists."""
        paths = (self.folder / "panels" / f"{name}.png" for name in names)
        return next((path for path in paths if path.is_file()), None)


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """Find every run in or below these folders, each once, sorted by path.

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
    """Read a run's status; its tables are not opened."""
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
