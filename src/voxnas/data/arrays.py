"""Access to preprocessed scans on disk: shards of volumes, and one file for each run beside its lighter views."""

from collections.abc import Callable
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.io.clips import Run
from voxnas.io.records import read_json
from voxnas.io.tensors import open_tensors


class _Shards:
    """Records of the scans, read shard by shard until all expected scans are found."""

    def __init__(self, record_file: Callable[[int], Path], expected: frozenset[str]) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self._file: dict[str, Path] = {}  # of the records of the scan's shard
        for path in map(record_file, count()):
            if expected <= self.records.keys() or not path.exists():
                break
            for scan, record in _records(path).items():
                # Files of an earlier, larger number of shards have higher numbers and are ignored.
                if self.records.setdefault(scan, record) is record:
                    self._file[scan] = path


def _records(path: Path) -> dict[str, dict[str, Any]]:
    """Read the records of a shard; a UserError if they are damaged."""
    records = read_json(path)
    if isinstance(records, dict) and all(isinstance(record, dict) for record in records.values()):
        return records
    raise UserError(f"{path} has no records of scans", "delete it and run the stage preprocess")


class Volumes(_Shards):
    """Scans of one volume: row r of scans.tsv lies in shard ``r % shards``.

    Shards are memory-mapped; a scan occupies memory only while its tensor exists.
    """

    def __init__(self, paths: StudyPaths, expected: frozenset[str]) -> None:
        super().__init__(lambda number: paths.shard(number).with_suffix(".json"), expected)
        self._open = cache(partial(open_tensors, framework="pt"))

    def tensor(self, scan: str, kind: str) -> Any:
        """Return a copy of the tensor ``image`` (C, D, H, W) or ``label`` (D, H, W) of a scan."""
        # Without the copy, an in-place operation would change the mapped shard for all callers.
        return self._open(self._file[scan].with_suffix(".safetensors")).get_tensor(f"{scan}/{kind}").clone()


class Runs(_Shards):
    """Runs: one file of volumes for each run, and one file with the lighter views of all runs of a shard."""

    def __init__(self, paths: StudyPaths, expected: frozenset[str]) -> None:
        super().__init__(lambda number: paths.runs(number) / "records.json", expected)
        self._open_run = cache(Run)
        self._open_views = cache(partial(open_tensors, framework="np"))

    def run(self, scan: str) -> Run:
        """Return the volumes of a run, (T, C, D, H, W)."""
        return self._open_run(self._file[scan].with_name(f"{scan}.zip"))

    def view(self, scan: str, kind: str) -> np.ndarray:
        """Return the view ``maps`` (2, D, H, W), ``series`` (T, R) or ``connectivity`` (R, R), float32."""
        return self._open_views(self._file[scan].with_name("views.safetensors")).get_tensor(f"{scan}/{kind}")
