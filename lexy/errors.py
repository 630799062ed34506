"""The exceptions that are written for users, and how they are told."""

import errno
import sys

CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}


class UserError(Exception):
    """A mistake that the user can mend.

    The message says what was wrong, where (file, key, value) and what to do; the commands print it without a traceback
    and end with a non-zero exit status.
    """


class NoSuchKey(UserError):
    """A config has no such key; another combination of its groups may have it.

    Parameters
    ----------
    message : str
    key : str
        The key, or group, as the user wrote it.
    """

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


class Pruned(UserError):
    """A search ended this training early, because its figures so far are worse than those of other trials."""


def as_user_error(error: Exception) -> UserError | None:
    """Return the error that a user is shown for `error`: itself, or one for a full disk or a folder that is read-only.

    Returns
    -------
    UserError or None
        None for an error of the program, which is shown with its traceback.
    """
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
        place = f"{error.filename}: " if error.filename else ""
        return UserError(f"{place}{error.strerror}. Nothing is half-written. Make room, or give another folder.")
    if isinstance(error, RuntimeError) and "PyTorchStreamWriter failed" in str(error):  # torch hides the system's words
        return UserError("A checkpoint cannot be written: the disk is full. Make room, or give another folder.")
    return None


def print_error(error: UserError) -> None:
    """Print an error for the user on standard error."""
    print(f"error: {error}", file=sys.stderr)
