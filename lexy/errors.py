"""The one exception that is written for users."""


class UserError(Exception):
    """A mistake that the user can mend.

    The message says what was wrong, where (file, key, value) and what to do; the commands print it without a traceback
    and end with a non-zero exit status.
    """
