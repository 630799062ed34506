"""The exceptions that are written for users."""


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
    """A search ended this training early: its figures promise nothing."""
