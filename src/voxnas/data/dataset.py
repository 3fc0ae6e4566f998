"""The preprocessed scans of a study, read from disk on demand."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan, RunPlan
from voxnas.core.splits import Splits
from voxnas.data.arrays import Runs, Volumes
from voxnas.data.digest import data_digest
from voxnas.data.samples import Sample, block_samples, run_samples, volume_samples
from voxnas.io.records import read_plan, read_record
from voxnas.io.tables import read_table


class StudyData:
    """Images, labels and targets of one study; the test split stays locked until :meth:`unlock`.

    Runs that preprocessing excluded for their quality are in no fold, although the splits contain them.

    Parameters
    ----------
    paths : StudyPaths
        The study.
    view : str
        The view of a run (:mod:`voxnas.arch.views`); empty: the study's default, or the volume of each scan.
    divisor : 3 ints, optional
        Divisor of the input sizes of a network, whose patch the plan then has.

    Attributes
    ----------
    plan : Plan
        The plan for networks of the view and the divisor.
    timed : bool
        Whether the scans are runs.
    view : str
        The view; empty for volumes.
    """

    def __init__(self, paths: StudyPaths, view: str = "", divisor: Sequence[int] | None = None) -> None:
        self.paths = paths
        plan = read_plan(paths.plan)
        self.timed = plan.timed
        self.view: str = view or plan.view
        self.plan: Plan = plan.for_view(self.view).for_divisor(divisor)
        self._splits = read_record(paths.splits, Splits)
        self._locked = frozenset(self._splits.test)
        expected = frozenset(map(self._splits.scan_of, self._locked.union(*self._splits.folds)))
        self._arrays: Volumes | Runs = Runs(paths, expected) if self.timed else Volumes(paths, expected)
        if missing := sorted(expected - self._arrays.records.keys()):
            raise UserError(
                f"{paths.preprocess}: {len(missing)} scans of the splits are not preprocessed: {missing[0]!r}, ...",
                "run the stage preprocess",
            )

    def usable(self, scans: Iterable[str]) -> list[str]:
        """Return the scans that preprocessing did not exclude, sorted."""
        return sorted(s for s in scans if not self.reason(s))

    def reason(self, scan: str) -> str:
        """Return the reason for which preprocessing excluded a scan, empty if it did not."""
        return str(self._record(scan).get("excluded") or "")

    def train_scans(self, fold: int | None) -> list[str]:
        """Return the scans of all folds except `fold`; None: of all folds."""
        if fold is not None:
            self.validation_scans(fold)
        return self.usable(self._splits.outside(fold))

    def validation_scans(self, fold: int) -> list[str]:
        """Return the scans of the fold; IndexError if it does not exist."""
        if not 0 <= fold < len(self._splits.folds):
            raise IndexError(f"fold {fold} of {len(self._splits.folds)}")
        return self.usable(self._splits.folds[fold])

    def development_scans(self) -> list[str]:
        """Return the scans of all folds, which are all scans outside the test split."""
        return self.usable(self._splits.development)

    def unlock(self, test_scans: Iterable[str]) -> None:
        """Allow the reading of test scans, from :func:`voxnas.data.ledger.open_test`."""
        self._locked = self._locked - frozenset(test_scans)

    def image(self, scan: str) -> Tensor:
        """Read the image of a scan of one volume, (C, D, H, W), float32; PermissionError for a locked test scan."""
        return self._volume(scan, "image")

    def label(self, scan: str) -> Tensor:
        """Read the class indices of a scan, (D, H, W); PermissionError for a locked test scan."""
        return self._volume(scan, "label")

    def target(self, scan: str) -> str | None:
        """Return the target of a scan as text; PermissionError for a locked test scan."""
        self._check(scan)
        return self._record(scan)["target"]

    def geometry(self, scan: str) -> dict[str, Any]:
        """Return the geometry by which :mod:`voxnas.data.preprocess` restores the scan's own grid."""
        return self._arrays.records[scan]["geometry"]

    def frames(self, scan: str) -> int:
        """Return the number of volumes of a run."""
        return int(self._record(scan)["frames"])

    def samples(self, scans: Iterable[str]) -> list[Sample]:
        """Return the samples of the scans in validation and test; PermissionError for a locked test scan."""
        scans = list(scans)
        for scan in scans:
            self._check(scan)
        units, records = {scan: self._splits.unit_of(scan) for scan in scans}, self._arrays.records
        if not isinstance(self.plan, RunPlan):
            targets = {scan: records[scan]["target"] for scan in scans}
            people = units if self._splits.within else {scan: self._people[scan] for scan in scans}
            return volume_samples(targets, people, units)
        if self._splits.unit == "block":
            plan = self.plan
            return [s for member in scans for s in block_samples(member, self._splits, self._record(member), plan)]
        return [
            sample
            for scan in scans
            for sample in run_samples(scan, records[scan], self.plan, self.view, self._people[scan], units[scan])
        ]

    def input(self, sample: Sample) -> Tensor:
        """Return the input of a network for a sample, float32.

        Returns
        -------
        Tensor
            (C, D, H, W); ``clips``: (T, C, D, H, W), ``series``: (R, 1, 1, T), ``connectivity``: (1, 1, R, R). Volumes
            of a window outside the run are 0.
        """
        if not isinstance(self._arrays, Runs):
            return self.image(sample.scan)
        self._check(sample.scan)
        if self.view == "clips":
            return torch.from_numpy(self._window(sample))
        if self.view == "series":
            return torch.from_numpy(np.ascontiguousarray(self._window(sample).T))[:, None, None, :]
        if self.view == "maps" and self.plan.unit == "volume":
            clip = self._window(sample)[:, 0]
            return torch.from_numpy(np.stack([clip.mean(0), clip.std(0)]))
        array = torch.from_numpy(self._arrays.view(sample.scan, self.view))
        return array[None, None] if self.view == "connectivity" else array

    def series(self, scan: str) -> np.ndarray:
        """Return the series of the atlas's regions of a whole run, (T, R); PermissionError for a locked test scan."""
        self._check(scan)
        assert isinstance(self._arrays, Runs)
        return self._arrays.view(scan, "series")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all data that a training depends on: the scans' content, the plan and the splits."""
        return data_digest(self.paths)

    @cached_property
    def _people(self) -> dict[str, str]:
        table = read_table(self.paths.scans, {"scan": str, "participant": str})
        return dict(zip(table["scan"], table["participant"], strict=True))

    def _record(self, member: str) -> dict[str, Any]:
        return self._arrays.records[self._splits.scan_of(member)]

    def _check(self, scan: str) -> None:
        if scan in self._locked:
            raise PermissionError(f"{scan!r} is in the locked test split")

    def _volume(self, scan: str, kind: str) -> Tensor:
        self._check(scan)
        assert isinstance(self._arrays, Volumes)
        return self._arrays.tensor(scan, kind)

    def _window(self, sample: Sample) -> np.ndarray:
        """Read the volumes (T, C, D, H, W) or the series (T, R) of a window."""
        assert isinstance(self._arrays, Runs) and isinstance(self.plan, RunPlan) and sample.start is not None
        clip = self.plan.clip
        scan, start, step, total = self._splits.scan_of(sample.scan), sample.start, clip.step, self.frames(sample.scan)
        first = -(-max(-start, 0) // step)  # a window may begin before the run and end after it
        positions = range(start + first * step, min(start + clip.span, total), step)
        if self.view == "series":
            found = self._arrays.view(scan, "series")[positions.start : positions.stop : step]
        else:
            found = self._arrays.run(scan).frames(positions.start, max(positions.stop, positions.start), step)
        if len(found) == clip.frames:
            return found
        whole = np.zeros((clip.frames, *found.shape[1:]), np.float32)
        whole[first : first + len(found)] = found
        return whole
