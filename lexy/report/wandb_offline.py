"""W&B runs that were recorded offline: their folders, and which are uploaded already."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lexy.errors import UserError
from lexy.files import in_use

PIECE = re.compile(r"offline-run-(\d{8}_\d{6})-(.+)")


@dataclass(frozen=True)
class Piece:
    """The record of one process of a W&B run; a resumed run has several.

    Attributes
    ----------
    folder : Path
        `.../wandb/offline-run-TIME-ID`.
    time : str
        When it was begun.
    run_id : str
    """

    folder: Path
    time: str
    run_id: str

    @property
    def uploaded(self) -> bool:
        """Whether W&B's own mark says so."""
        return any(self.folder.glob("*.wandb.synced"))

    @property
    def going_on(self) -> bool:
        """Whether a process holds the folder of the run, and may still be recording."""
        return in_use(self.folder.parents[1])


def pieces(folders: Sequence[Path]) -> list[Piece]:
    """Find every piece below some folders: the pieces of a run together, the oldest first.

    Raises
    ------
    UserError
        There is no such folder, or nothing in it.
    """
    found = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder. Give one that holds runs, such as outputs/NAME.")
        for path in folder.rglob("offline-run-*"):
            match = PIECE.fullmatch(path.name)
            if match and any(path.glob("*.wandb")):
                found[path.resolve()] = Piece(path, match[1], match[2])
    if not found:
        raise UserError(f"{', '.join(map(str, folders))}: no offline W&B runs in there. Train with logger=wandb.")
    return sorted(found.values(), key=lambda piece: (piece.run_id, piece.time))
