"""A study at one moment: the records that :mod:`voxnas.operate.progress` fills and the terminal shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Running:
    """A training that somebody holds a lease of."""

    what: str
    """Such as ``bayesian 3`` or ``nnunet, seed 1``."""
    host: str
    pid: int | None
    samples: int
    goal: int
    score: float | None
    """Of the last validation."""
    rate: float | None
    """Samples a second since this launch began."""
    silent: float
    """Seconds since the last sign of life."""
    alive: bool
    """Whether the lease holds; a stale one is of a training that was killed."""

    @property
    def seconds_left(self) -> float | None:
        """Until its samples are reached, at its rate so far."""
        return (self.goal - self.samples) / self.rate if self.rate else None


@dataclass(frozen=True)
class Best:
    """The trial of a search that would be selected now."""

    trial: str
    score: float
    parameters: int
    macs: int
    config: dict[str, Any]


@dataclass
class Search:
    """Where one search is; `steps` is None where no file says how many there will be."""

    name: str
    steps: int | None
    done: int = 0
    failed: int = 0
    running: int = 0
    queued: int = 0
    best: Best | None = None


class Failure(NamedTuple):
    """What failed, why, and where its log is, if that says more."""

    what: str
    reason: str
    log: Path | None


@dataclass(frozen=True)
class Stage:
    """One line of the overview: ``done``, ``running``, ``failed`` or ``waiting``, and what there is to say."""

    name: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class Cost:
    """What the trainings took, and what those to come are expected to take, in CPU seconds."""

    spent: float
    finished: int
    """Trainings in the store that were trained to their end."""
    left: float | None
    """None where nothing tells it yet."""
    to_come: int
    """Trainings without a result, the running ones among them."""
    at_once: int
    wall: float | None
    """Seconds that `left` takes with as many trainings at once as run now."""


@dataclass
class Snapshot:
    """A study at one moment. A failed trial is a result that a search learns from; a failed job ends the run."""

    name: str
    state: str
    """``finished``, ``running``, ``failed`` or ``quiet``."""
    quiet: float
    """Seconds since something changed."""
    stages: list[Stage]
    searches: list[Search]
    running: list[Running]
    best: Best | None
    trials_failed: list[Failure]
    jobs_failed: list[Failure]
    cost: Cost
    unreadable: list[Path] = field(default_factory=list)
