"""The storage of the trials of a search, for the search itself and for the processes that run its trials."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.storages import JournalStorage


def storage_at(path: str | Path) -> "JournalStorage":
    """Open the journal in a file, which is only ever appended to; several processes may write to it, on NFS too."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(path)))


def cut_torn_line(path: Path) -> None:
    """Remove an incomplete last line, which a full disk or a crash has left: Optuna refuses a journal with one.

    Parameters
    ----------
    path : Path
        Of a journal that no process writes to now. It may be missing.
    """
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def trial_id(storage: "JournalStorage", study_name: str, number: int) -> int:
    """Return the storage's own id of trial `number`, from 0, of a study."""
    study = storage.get_study_id_from_name(study_name)
    return storage.get_trial_id_from_study_id_trial_number(study, number)
