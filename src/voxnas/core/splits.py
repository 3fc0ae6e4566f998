"""The splits of a study (splits.json): the locked test split and the folds."""

from typing import Literal

from pydantic import Field

from voxnas.core.record import Record
from voxnas.core.settings import SplitUnit

BLOCK = "_block-"  # between a run and the number of a block in the name of the block


class Splits(Record):
    """Sorted scan identifiers of each split; with the unit ``block``, the names of blocks."""

    schema_version: Literal[1] = 1
    unit: SplitUnit = Field("participant", description="Unit that is never divided.")
    within: bool = Field(False, description="Whether splits may share a participant.")
    units: dict[str, str] = Field({}, description="Unit of each scan.")
    gap: float = Field(0.0, exclude_if=lambda gap: not gap, description="Seconds between blocks of two splits.")
    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]

    @property
    def development(self) -> list[str]:
        """Scans of all folds, i.e. all scans outside the test split."""
        return [scan for fold in self.folds for scan in fold]

    def outside(self, fold: int | None) -> list[str]:
        """Scans of all folds except `fold`; None: of all folds."""
        return [scan for i, scans in enumerate(self.folds) if i != fold for scan in scans]

    def scan_of(self, member: str) -> str:
        """Scan of a member of a split: the run of a block, else the member itself."""
        return member.rpartition(BLOCK)[0] if self.unit == "block" else member

    def parts(self) -> dict[str, int]:
        """Number of the fold of each member; -1 for the test split."""
        return {m: i for i, part in enumerate([self.test, *self.folds], -1) for m in part}

    def unit_of(self, scan: str) -> str:
        """Unit of a scan; the scan itself if the splits define no units."""
        return self.units[scan] if self.units else scan
