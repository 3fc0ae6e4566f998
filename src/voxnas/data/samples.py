"""What a network is asked: samples of scans, and the cases whose predictions they add up to.

A volume that was scanned once is one sample and one case. A run is seen in parts: a sample is a window of its
volumes, and a case a labelled volume, the run, or the participant (``clips.unit``); the predictions of a case's
samples are averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxnas.core.plan import RunPlan
from voxnas.core.settings import ClipWindow

WINDOWED = ("clips", "series")  # views that are cut out of a run in time


@dataclass(frozen=True)
class Sample:
    """What a network sees at once.

    Parameters
    ----------
    scan : str
        Scan (run) that it is of.
    start : int or None
        First volume of its window, which may lie before the run's first; None: the whole scan, or wherever
        a training draws it.
    target : str or None
        As in the tables.
    case : str
        What it is predicted for.
    unit : str
        What is never split: cases of one unit are not independent.
    """

    scan: str
    start: int | None
    target: str | None
    case: str
    unit: str


def windows(frames: int, clip: ClipWindow) -> list[int]:
    """Starts of the windows of a run that are predicted: evenly spaced, distinct, at most ``per_run``."""
    last = max(frames - clip.span, 0)
    return sorted({int(s) for s in np.linspace(0, last, clip.per_run).round()})


def run_samples(
    scan: str, record: Mapping[str, Any], plan: RunPlan, view: str, participant: str, unit: str
) -> list[Sample]:
    """The samples by which a run is validated and tested.

    Parameters
    ----------
    scan : str
        Its id.
    record : mapping
        What preprocessing says of it: ``frames``, ``target``, and with labelled volumes ``labels``.
    plan : RunPlan
    view : str
        What the network reads.
    participant, unit : str
        Whose run it is, and what is never split.
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


def by_case(samples: Iterable[Sample]) -> dict[str, list[int]]:
    """Positions of the samples of each case, in the order in which the cases appear."""
    found: dict[str, list[int]] = {}
    for position, sample in enumerate(samples):
        found.setdefault(sample.case, []).append(position)
    return found
