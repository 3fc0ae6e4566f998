"""The splits of a study (splits.json): the locked test split and the folds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from voxnas.core.record import Record
from voxnas.core.settings import SplitUnit


class Splits(Record):
    """Scan ids of each part, sorted."""

    schema_version: Literal[1] = 1
    unit: SplitUnit = Field("participant", description="Is never divided.")
    within: bool = Field(False, description="Parts may share a participant.")
    units: dict[str, str] = Field({}, description="Unit of each scan.")
    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]

    @property
    def development(self) -> list[str]:
        """Scans of all folds, which is every scan but the test split."""
        return [scan for fold in self.folds for scan in fold]

    def unit_of(self, scan: str) -> str:
        """Unit of a scan; the scan itself where the splits name none."""
        return self.units[scan] if self.units else scan
