"""Samples, the inputs of a network, and cases, the units of prediction.

A scan of one volume is a sample. It is also a case, unless its participant has several scans with one target, which
together are one case. A run is read in windows: a sample is a window of its volumes, and a
case is a labelled volume, the run, or the participant (``clips.unit``). The predictions of the samples of a case are
averaged.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxnas.core.plan import RunPlan
from voxnas.core.settings import ClipWindow
from voxnas.core.splits import BLOCK, Splits

WINDOWED = ("clips", "series")  # views that are windows of a run


@dataclass(frozen=True)
class Sample:
    """One input of a network.

    Parameters
    ----------
    scan : str
        Its scan (run).
    start : int or None
        First volume of the window, which may precede the run; None: the whole scan, or a start that the training
        draws.
    target : str or None
        As in the tables.
    case : str
        The case to which its prediction contributes.
    unit : str
        The unit of the splits; cases of one unit are not independent.
    """

    scan: str
    start: int | None
    target: str | None
    case: str
    unit: str


def windows(frames: int, clip: ClipWindow) -> list[int]:
    """Return the starts of a run's windows in validation and test: evenly spaced, distinct, at most ``per_run``."""
    last = max(frames - clip.span, 0)
    return sorted({int(s) for s in np.linspace(0, last, clip.per_run).round()})


def run_samples(
    scan: str, record: Mapping[str, Any], plan: RunPlan, view: str, participant: str, unit: str
) -> list[Sample]:
    """Return the samples of a run in validation and test.

    Parameters
    ----------
    scan : str
        Identifier of the run.
    record : mapping
        Record of preprocessing: ``frames``, ``target``, and with labelled volumes ``labels``.
    plan : RunPlan
    view : str
        The view that the network reads.
    participant, unit : str
        Participant of the run, and its unit of the splits.
    """
    clip = plan.clip
    if plan.unit == "volume":
        return [
            Sample(scan, volume - clip.span + 1, label, f"{scan}_volume-{volume:04d}", unit)
            for volume, label in enumerate(record["labels"])
            if label is not None
        ]
    case = participant if plan.unit == "participant" else scan
    starts = windows(int(record["frames"]), clip) if view in WINDOWED else [None]
    return [Sample(scan, start, record["target"], case, unit) for start in starts]


def block_samples(member: str, splits: Splits, record: Mapping[str, Any], plan: RunPlan) -> list[Sample]:
    """Return the samples of a block of a run: its labelled volumes.

    A volume is left out if its window, or the gap of the splits before it, reaches a block of another fold or of the
    test split. Windows of two splits therefore share no volume.

    Parameters
    ----------
    member : str
        Name of the block.
    splits : Splits
        With the unit ``block``.
    record : mapping
        Record of preprocessing: ``labels``, ``blocks`` and ``repetition_time``.
    plan : RunPlan
    """
    scan, parts = splits.scan_of(member), splits.parts()
    numbers = {m: int(m.removeprefix(scan + BLOCK)) for m in parts if splits.scan_of(m) == scan}
    others = {number for m, number in numbers.items() if parts[m] != parts[member]}
    reach = plan.clip.span - 1 + math.ceil(splits.gap / record["repetition_time"])
    blocks = record["blocks"]
    return [
        Sample(member, volume - plan.clip.span + 1, label, f"{scan}_volume-{volume:04d}", member)
        for volume, (label, block) in enumerate(zip(record["labels"], blocks, strict=True))
        if label is not None and block == numbers[member] and others.isdisjoint(blocks[max(0, volume - reach) : volume])
    ]


def volume_samples(
    targets: Mapping[str, str | None], people: Mapping[str, str], units: Mapping[str, str]
) -> list[Sample]:
    """Return the samples of scans of one volume, of which those of a participant with one target are one case.

    Parameters
    ----------
    targets, people, units : mapping
        Target, participant (or unit, in a within-participant study), and unit of the splits of each scan.
    """
    held: dict[str, list[str | None]] = {}
    for scan, target in targets.items():
        held.setdefault(people[scan], []).append(target)
    joint = {person for person, values in held.items() if len(values) > 1 and len(set(values)) == 1}
    return [
        Sample(scan, None, target, people[scan] if people[scan] in joint else scan, units[scan])
        for scan, target in targets.items()
    ]


def by_case(samples: Iterable[Sample]) -> dict[str, list[int]]:
    """Return the positions of the samples of each case, in order of appearance of the cases."""
    found: dict[str, list[int]] = {}
    for position, sample in enumerate(samples):
        found.setdefault(sample.case, []).append(position)
    return found
