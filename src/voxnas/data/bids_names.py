"""Parsing and comparison of BIDS file names.

A name is ``sub-01_task-rest_run-2_bold.nii.gz``: pairs of key and value, then a suffix and an
extension (BIDS 1.10, "File naming scheme"). The tests compare this module with pybids; docs/decisions/0008-bids.md
explains why pybids is not used here.
"""

from dataclasses import dataclass
from pathlib import Path

from voxnas.data.layout import stem

TIME_SUFFIXES = {"bold", "cbv", "asl", "pet"}
IMAGE_ENDS = (".nii.gz", ".nii")
# Entities that a derivative may add to the name of its source image.
ADDED_ENTITIES = {"space", "res", "den", "desc", "label", "seg", "atlas", "hemi", "cohort"}
# Entities that distinguish images of one acquisition, which are one scan.
PARTS_OF_A_SCAN = {"echo", "part", "ch", "inv", "split", "chunk", "rec", "recording"}


@dataclass(frozen=True)
class BidsName:
    """A parsed file name: entities and suffix."""

    entities: dict[str, str]
    suffix: str

    @property
    def scan(self) -> str:
        """The entities as text, such as ``sub-01_ses-a_run-1``."""
        return "_".join(f"{key}-{value}" for key, value in self.entities.items())

    @property
    def participant(self) -> str:
        """The participant's identifier, such as ``sub-01``."""
        return f"sub-{self.entities.get('sub', '')}"


def parse_name(path: Path) -> BidsName:
    """Parse a BIDS file name; the text after the entities is the suffix (``T1w``, ``T1w_seg-manual``)."""
    parts = stem(path).split("_")
    entities = {}
    while len(parts) > 1 and parts[0].count("-") == 1:
        key, _, value = parts.pop(0).partition("-")
        entities[key] = value
    return BidsName(entities, "_".join(parts))


def same_value(value: str, other: str) -> bool:
    """Return whether two values of an entity are equal; whole numbers are compared as numbers (run 1 is run-01)."""
    if value.isdecimal() and other.isdecimal():
        return int(value) == int(other)
    return value == other


def source_of(scan: str) -> str:
    """Return the identifier of a scan's source: the entities that derivatives and echoes add are removed.

    ``sub-01_task-rest_echo-2_space-T1w_desc-preproc`` and ``sub-01_task-rest`` have one source.
    """
    added = ADDED_ENTITIES | PARTS_OF_A_SCAN
    return "_".join(part for part in scan.split("_") if part.partition("-")[0] not in added)
