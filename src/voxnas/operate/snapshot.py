"""State of a study at one moment: records made by :mod:`voxnas.operate.progress` and shown by the terminal."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from voxnas.core.measures import Measure


@dataclass(frozen=True)
class Running:
    """A training with a lease.

    Attributes
    ----------
    name : str
        Such as ``bayesian 3`` or ``nnunet, seed 1``.
    host : str
    pid : int or None
    samples, goal : int
        Samples seen, and samples to reach.
    score : float or None
        Score of the latest validation.
    rate : float or None
        Samples per second since the start of this launch.
    silent : float
        Seconds since the last heartbeat.
    alive : bool
        Whether the lease holds; a stale lease belongs to a training that was killed.
    """

    name: str
    host: str
    pid: int | None
    samples: int
    goal: int
    score: float | None
    rate: float | None
    silent: float
    alive: bool

    @property
    def seconds_left(self) -> float | None:
        """Remaining time at the present rate, in seconds."""
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
    """Progress of one search; `steps` is None if no file states their number."""

    name: str
    steps: int | None
    done: int = 0
    failed: int = 0
    running: int = 0
    queued: int = 0
    best: Best | None = None


class Failure(NamedTuple):
    """A failed trial or job with the reason, and its log if the log tells more."""

    name: str
    reason: str
    log: Path | None


@dataclass(frozen=True)
class Stage:
    """One line of the overview: its state is ``done``, ``running``, ``failed`` or ``waiting``."""

    name: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class Cost:
    """Cost of the finished trainings and expected cost of the remaining ones, in CPU seconds.

    Attributes
    ----------
    spent : float
    finished : int
        Completed trainings in the store.
    left : float or None
        None while it cannot be estimated.
    to_come : int
        Trainings without a result, including the running ones.
    at_once : int
        Trainings that run in parallel now.
    wall : float or None
        Wall time of `left` with `at_once` parallel trainings, in seconds.
    """

    spent: float
    finished: int
    left: float | None
    to_come: int
    at_once: int
    wall: float | None

    @property
    def share(self) -> float:
        """Share of the expected cost that is spent, 0 to 1; 0 while it cannot be estimated."""
        if self.left is None:
            return 0.0
        return self.spent / (self.spent + self.left) if self.left else 1.0


@dataclass
class Snapshot:
    """State of a study. A failed trial is a result from which the search learns; a failed job ends the run.

    Attributes
    ----------
    name : str
    state : str
        ``finished``, ``running``, ``failed`` or ``quiet``.
    quiet : float
        Seconds since the last change of a file.
    stages : list of Stage
    searches : list of Search
    running : list of Running
    best : Best or None
    trials_failed, jobs_failed : list of Failure
    cost : Cost
    measure : Measure or None
        Measure of the validation scores; None before the first run.
    unreadable : list of Path
    """

    name: str
    state: str
    quiet: float
    stages: list[Stage]
    searches: list[Search]
    running: list[Running]
    best: Best | None
    trials_failed: list[Failure]
    jobs_failed: list[Failure]
    cost: Cost
    measure: Measure | None = None
    unreadable: list[Path] = field(default_factory=list)
