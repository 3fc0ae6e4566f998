"""Reading the files of a study that others are writing: nothing is an error, and nothing is read twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from voxnas.core.errors import UserError
from voxnas.io.records import read_json

M = TypeVar("M", bound=BaseModel)


class Reader:
    """Files as they are now; one that is missing, half-copied or of another version is as if it were not there.

    Attributes
    ----------
    unreadable : set of Path
        Files that are there and cannot be read, since :meth:`begin`.
    changed : float
        Unix time of the latest change that was seen since then.
    """

    def __init__(self) -> None:
        self.unreadable: set[Path] = set()
        self.changed = 0.0
        self._known: dict[Path, tuple[tuple[int, int], Any]] = {}

    def begin(self) -> None:
        """Look anew."""
        self.unreadable, self.changed = set(), 0.0

    def record(self, path: Path, model: type[M]) -> M | None:
        """A JSON file as a record."""
        return self._read(path, model)

    def plain(self, path: Path) -> dict[str, Any]:
        """A JSON object, empty where there is none."""
        data = self._read(path, None)
        return data if isinstance(data, dict) else {}

    def names(self, folder: Path) -> list[str]:
        """What lies in a folder, sorted; nothing where it is missing."""
        try:
            self.see(folder)
            return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        except OSError:
            return []

    def numbers(self, folder: Path) -> list[int]:
        """The entries of a folder whose names are numbers, sorted."""
        return sorted(int(name) for name in self.names(folder) if name.isdecimal())

    def see(self, path: Path) -> float:
        """Unix time of a file's last change, which counts as one of the study; 0 where it is missing."""
        try:
            time = path.stat().st_mtime
        except OSError:
            return 0.0
        self.changed = max(self.changed, time)
        return time

    def lines(self, path: Path) -> int:
        """Lines of a table below its head."""
        try:
            with open(path, "rb") as file:
                return max(0, sum(1 for _ in file) - 1)
        except OSError:
            return 0

    def _read(self, path: Path, model: type[BaseModel] | None) -> Any:
        try:
            status = path.stat()
        except OSError:
            return None
        self.changed = max(self.changed, status.st_mtime)
        sign = (status.st_mtime_ns, status.st_size)
        known = self._known.get(path)
        if known is None or known[0] != sign:
            try:
                data = read_json(path)
                known = (sign, model.model_validate(data) if model else data)
            except (UserError, OSError, ValidationError):
                if not path.exists():
                    return None  # it went while we looked
                known = (sign, None)
            self._known[path] = known
        if known[1] is None:
            self.unreadable.add(path)
        return known[1]


def as_number(value: Any) -> float:
    """A value of a JSON file that should be a number; 0 where it is none."""
    return value if isinstance(value, (int, float)) else 0.0
