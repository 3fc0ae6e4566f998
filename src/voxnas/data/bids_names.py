"""File names of BIDS: taken apart into entities and suffix, and compared.

A name is ``sub-01_task-rest_run-2_bold.nii.gz``: pairs of key and value, then a suffix and an
extension (BIDS 1.10, "File naming scheme"). docs/decisions/0008-bids.md says why pybids is the
judge of this module in the tests and not its engine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from voxnas.data.layout import stem

TIME_SUFFIXES = {"bold", "cbv", "asl", "pet"}
IMAGE_ENDS = (".nii.gz", ".nii")
# Entities that a derivative may add to the name of the image it was made from.
ADDED_ENTITIES = {"space", "res", "den", "desc", "label", "seg", "atlas", "hemi", "cohort"}
# Entities that tell images apart which one acquisition gave at once: they are the same scan.
PARTS_OF_A_SCAN = {"echo", "part", "ch", "inv", "split", "chunk", "rec", "recording"}


@dataclass(frozen=True)
class BidsName:
    """A file name taken apart: entities and suffix."""

    entities: dict[str, str]
    suffix: str

    @property
    def scan(self) -> str:
        """The entities as text, such as ``sub-01_ses-a_run-1``."""
        return join(self.entities)


def join(entities: Mapping[str, str], without: Collection[str] = ()) -> str:
    """Entities as they stand in a file name, but for those named."""
    return "_".join(f"{key}-{value}" for key, value in entities.items() if key not in without)


def parse_name(path: Path) -> BidsName:
    """Take a BIDS file name apart; what follows the entities is the suffix (``T1w``, ``T1w_seg-manual``)."""
    parts = stem(path).split("_")
    entities = {}
    while len(parts) > 1 and parts[0].count("-") == 1:
        key, _, value = parts.pop(0).partition("-")
        entities[key] = value
    return BidsName(entities, "_".join(parts))


def same_value(value: str, other: str) -> bool:
    """Whether two values of an entity are one: whole numbers by their value, so that run 1 is run-01."""
    if value.isdecimal() and other.isdecimal():
        return int(value) == int(other)
    return value == other


def source_of(scan: str) -> str:
    """What an image was made from: its scan id without the entities that derivatives and echoes add.

    ``sub-01_task-rest_echo-2_space-T1w_desc-preproc`` and ``sub-01_task-rest`` have one source.
    """
    pairs = [part.partition("-") for part in scan.split("_")]
    return "_".join("".join(p) for p in pairs if p[0] not in ADDED_ENTITIES | PARTS_OF_A_SCAN)
