"""Preprocessed scans as they lie on disk: volumes in shards, runs in files of their own with their small views."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from voxnas.core.paths import StudyPaths
from voxnas.io.clips import Run
from voxnas.io.records import read_json


class Volumes:
    """Scans of one volume: row r of scans.tsv lies in shard ``r % shards``.

    Shards are memory-mapped: a scan is in memory only while its tensor is.
    """

    def __init__(self, paths: StudyPaths, expected: frozenset[str]) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self._file: dict[str, Path] = {}
        self._opened: dict[Path, Any] = {}
        for number in _numbers(lambda n: paths.shard(n).with_suffix(".json"), lambda: expected <= self.records.keys()):
            for scan, record in read_json(paths.shard(number).with_suffix(".json")).items():
                # A scan is in one shard. Files of an earlier, larger number of shards have higher numbers.
                if self.records.setdefault(scan, record) is record:
                    self._file[scan] = paths.shard(number)

    def tensor(self, scan: str, kind: str) -> Any:
        """The tensor ``image`` (C, D, H, W) or ``label`` (D, H, W) of a scan, of its own memory."""
        # safetensors hands out its own memory, which a caller that works in place would change for all.
        path = self._file[scan]
        if path not in self._opened:
            self._opened[path] = safe_open(path, framework="pt")
        return self._opened[path].get_tensor(f"{scan}/{kind}").clone()


class Runs:
    """Runs: each a file of volumes, and for all runs of a shard one file of their small views."""

    def __init__(self, paths: StudyPaths, expected: frozenset[str]) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self._folder: dict[str, Path] = {}
        self._opened: dict[Path, Any] = {}
        for number in _numbers(lambda n: paths.runs(n) / "records.json", lambda: expected <= self.records.keys()):
            for scan, record in read_json(paths.runs(number) / "records.json").items():
                if self.records.setdefault(scan, record) is record:
                    self._folder[scan] = paths.runs(number)

    def run(self, scan: str) -> Run:
        """The volumes of a run, (T, C, D, H, W)."""
        path = self._folder[scan] / f"{scan}.zip"
        if path not in self._opened:
            self._opened[path] = Run(path)
        return self._opened[path]

    def view(self, scan: str, kind: str) -> np.ndarray:
        """The small view ``maps`` (2, D, H, W), ``series`` (T, R) or ``connectivity`` (R, R), float32."""
        path = self._folder[scan] / "views.safetensors"
        if path not in self._opened:
            self._opened[path] = safe_open(path, framework="np")
        return self._opened[path].get_tensor(f"{scan}/{kind}")


def _numbers(record: Callable[[int], Path], complete: Callable[[], bool]) -> Iterator[int]:
    """Numbers of the shards, from 0 while there are records and something is missing."""
    number = 0
    while record(number).exists() and not complete():
        yield number
        number += 1
