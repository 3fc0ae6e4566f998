"""The preprocessed scans of a study, read from the shards when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from safetensors import safe_open
from torch import Tensor

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.data.digest import data_digest
from voxnas.io.records import read_json


class StudyData:
    """Images, labels and targets of one study; the test split stays shut until it is unlocked.

    Shards are memory-mapped: a scan is in memory only while its tensor is.

    Parameters
    ----------
    paths : StudyPaths
        The study.
    """

    def __init__(self, paths: StudyPaths) -> None:
        self.paths = paths
        self.plan: dict[str, Any] = read_json(paths.plan)
        self._splits = read_json(paths.splits)
        self._locked = frozenset(self._splits["test"])
        self._shard_of: dict[str, int] = {}
        self._records: dict[str, dict[str, Any]] = {}
        self._open: dict[int, Any] = {}
        expected = self._locked.union(*self._splits["folds"])
        # A scan is in one shard. Files of an earlier, larger number of shards have higher numbers.
        number = 0
        while paths.shard(number).with_suffix(".json").exists() and not expected <= self._records.keys():
            for scan, record in read_json(paths.shard(number).with_suffix(".json")).items():
                if scan not in self._records:
                    self._records[scan], self._shard_of[scan] = record, number
            number += 1
        if missing := sorted(expected - self._records.keys()):
            raise UserError(
                f"{paths.preprocess}: {len(missing)} scans of the splits are not preprocessed: {missing[0]!r}, ...",
                "run the stage preprocess",
            )

    def train_scans(self, fold: int) -> list[str]:
        """Scans of all folds but `fold`."""
        self.validation_scans(fold)
        return sorted(s for i, scans in enumerate(self._splits["folds"]) if i != fold for s in scans)

    def validation_scans(self, fold: int) -> list[str]:
        """Scans of the fold; IndexError if there is none of that number."""
        if not 0 <= fold < len(self._splits["folds"]):
            raise IndexError(f"fold {fold} of {len(self._splits['folds'])}")
        return sorted(self._splits["folds"][fold])

    def development_scans(self) -> list[str]:
        """Scans of all folds: everything but the test split."""
        return sorted(s for scans in self._splits["folds"] for s in scans)

    def unlock(self, test_scans: Iterable[str]) -> None:
        """Allow reading of test scans that :func:`voxnas.data.splits.open_test` gave."""
        self._locked = self._locked - frozenset(test_scans)

    def image(self, scan: str) -> Tensor:
        """Image, (C, D, H, W), float32; PermissionError for a locked test scan."""
        return self._tensor(scan, "image")

    def label(self, scan: str) -> Tensor:
        """Class indices, (D, H, W); PermissionError for a locked test scan."""
        return self._tensor(scan, "label")

    def target(self, scan: str) -> str | None:
        """Target as text; PermissionError for a locked test scan."""
        self._check(scan)
        return self._records[scan]["target"]

    def geometry(self, scan: str) -> dict[str, Any]:
        """The way back to the scan's own grid, for :mod:`voxnas.data.preprocess`."""
        return self._records[scan]["geometry"]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what training depends on: the scans' content, the plan and the splits."""
        return data_digest(self.paths)

    def _check(self, scan: str) -> None:
        if scan in self._locked:
            raise PermissionError(f"{scan!r} is in the locked test split")

    def _tensor(self, scan: str, kind: str) -> Tensor:
        self._check(scan)
        number = self._shard_of[scan]
        if number not in self._open:
            self._open[number] = safe_open(self.paths.shard(number), framework="pt")
        # safetensors hands out its own memory, which a caller that works in place would change for all.
        return self._open[number].get_tensor(f"{scan}/{kind}").clone()
