"""The two ways a command can end badly: the user's input, or a bug.

A :class:`UserError` is printed as one line and ends the command with status 2. Everything
else is a bug and keeps its traceback. :data:`TRY_AGAIN` says that a job saved its state and
wants to be started again (a deadline, or a signal).
"""

import difflib
from collections.abc import Iterable

USER_ERROR = 2
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h


class UserError(Exception):
    """Bad input: names the file or key, the value, and the remedy, in one line.

    Parameters
    ----------
    what : str
        What is wrong, with the file or key and the value in it.
    remedy : str
        What the user can do about it.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = " ".join(str(what).split())
        self.remedy = " ".join(str(remedy).split())
        super().__init__(f"{self.what}. {self.remedy}" if self.remedy else self.what)


class ScanError(UserError):
    """One scan cannot be used; the study may go on without it."""


def suggest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The remedy for an unknown name: the nearest known name, with `prefix` before it, then all known names."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    hint = f"did you mean {prefix + near[0]!r}? " if near else ""
    return f"{hint}There are: {', '.join(names) or 'none'}"
