"""Errors of the user's input, as opposed to bugs.

A :class:`UserError` is printed as one line and ends the command with status 2. Any other exception is a bug and keeps
its traceback. A job that saved its state at a deadline or signal and must be repeated ends with :data:`TRY_AGAIN`.
"""

import difflib
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

USER_ERROR = 2
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
LONGEST = 2000  # characters of one part of a message; the middle of a longer part is omitted


class UserError(Exception):
    """Invalid input; the message names the file or key, the value and the remedy in one line.

    Parameters
    ----------
    what : str
        The problem, with the file or key and the value.
    remedy : str
        The remedy.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what, self.remedy = _line(what), _line(remedy)
        super().__init__(f"{self.what}. {self.remedy}" if self.remedy else self.what)


class ScanError(UserError):
    """One scan is unusable; the study may continue without it."""


@contextmanager
def of_one_scan() -> Iterator[None]:
    """Convert a UserError, raised for a file that belongs to one scan, to a ScanError."""
    try:
        yield
    except UserError as error:
        raise ScanError(error.what, error.remedy) from None


def _line(text: str) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = 120


def shown(value: object) -> str:
    """Text of a value in a message, shortened; nested or repeated parts of hostile data could be of any length."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # an integer of too many digits
        return f"a very large {type(value).__name__}"


def suggest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Remedy for an unknown name: the most similar known name, with `prefix` before it, and all known names."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    hint = f"did you mean {prefix + near[0]!r}? " if near else ""
    return f"{hint}available: {', '.join(names) or 'none'}"
