"""Reading of a study's files while other processes write them: no file is an error, none is parsed twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from voxnas.core.errors import UserError
from voxnas.io.records import read_json, read_record

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class Reader:
    """Current content of files; a missing, incomplete or incompatible file counts as absent.

    Attributes
    ----------
    unreadable : set of Path
        Existing files that could not be read since :meth:`begin`.
    changed : float
        Unix time of the latest modification seen since :meth:`begin`.
    """

    def __init__(self) -> None:
        self.unreadable: set[Path] = set()
        self.changed = 0.0
        self._known: dict[tuple[object, ...], tuple[tuple[int, int], Any]] = {}

    def begin(self) -> None:
        """Forget the unreadable files and the latest modification."""
        self.unreadable, self.changed = set(), 0.0

    def record(self, path: Path, model: type[M]) -> M | None:
        """Read a JSON file as a record; None if absent."""
        return self.parsed(path, read_record, model)

    def plain(self, path: Path) -> dict[str, Any]:
        """Read a JSON object; empty if absent."""
        data = self.parsed(path, read_json)
        return data if isinstance(data, dict) else {}

    def names(self, folder: Path) -> list[str]:
        """Return the sorted names in a folder without the hidden ones; none if the folder is missing."""
        try:
            self.see(folder)
            return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        except OSError:
            return []

    def numbers(self, folder: Path) -> list[int]:
        """Return the sorted numbers among the names in a folder."""
        return sorted(int(name) for name in self.names(folder) if name.isdecimal())

    def see(self, path: Path) -> float:
        """Return the modification time of a file (Unix time, 0 if it is missing) and count it as the study's."""
        try:
            time = path.stat().st_mtime
        except OSError:
            return 0.0
        self.changed = max(self.changed, time)
        return time

    def lines(self, path: Path) -> int:
        """Count the rows of a table without its header."""
        try:
            with open(path, "rb") as file:
                return max(0, sum(1 for _ in file) - 1)
        except OSError:
            return 0

    def parsed(self, path: Path, parse: Callable[..., T], *arguments: object) -> T | None:
        """Parse each version of a file once.

        Parameters
        ----------
        path : Path
        parse : callable
            Function of the path and the arguments; the file counts as unreadable if it raises UserError or OSError.
        *arguments : object
            Hashable.

        Returns
        -------
        object or None
            Result of `parse`; None if the file is missing or unreadable.
        """
        try:
            status = path.stat()
        except OSError:
            return None
        self.changed = max(self.changed, status.st_mtime)
        version = (status.st_mtime_ns, status.st_size)
        key = (path, parse, *arguments)
        known = self._known.get(key)
        if known is None or known[0] != version:
            try:
                known = (version, parse(path, *arguments))
            except (UserError, OSError):
                if not path.exists():
                    return None  # removed since its status was read
                known = (version, None)
            self._known[key] = known
        if known[1] is None:
            self.unreadable.add(path)
        return known[1]


def as_number(value: Any) -> float:
    """Return a number from a JSON file; 0 for a value of another type."""
    return value if isinstance(value, (int, float)) else 0.0
