"""The protocol of strategies: from what is known at one step of a search to what the step does.

There are three kinds, all registered in :data:`voxnas.core.strategies.STRATEGIES` (other packages: by an
entry point ``voxnas.proposers``). Their fields are their options.

- A :class:`Strategy` proposes one step: a new network, or an earlier step to continue.
- A :class:`Promotion` wraps a strategy: it decides which trials continue, and asks the strategy for new ones.
- A :class:`Job` is a whole search in one job, such as a gradient search.

The first two are pure functions of a :class:`SearchState`. They keep no state, read no clock and no
file, and do not know how many steps there will be, so that a search can be rebuilt from its
records at any step and extended at its end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, TypeAlias

from voxnas.arch.views import input_size
from voxnas.complexity.placement import Worker
from voxnas.core.architecture import Architecture
from voxnas.core.paths import StudyPaths
from voxnas.core.strategies import StrategyOptions
from voxnas.search.feasible import Candidate, FeasibleSpace

Curve: TypeAlias = tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class Observation:
    """One step of a search as a strategy sees it.

    Attributes
    ----------
    step : int
    trial : str
        The trial of which the step is a part.
    candidate : Candidate
        Network and recipe of the trial.
    origin : str
        The origin of the step's suggestion; ``start`` is the given first trial.
    rung : int
        How often the trial had been continued.
    resume_from : int or None
        The step that this one continues.
    state : str
        ``DONE``, ``STOPPED`` or ``FAILED``; ``PENDING`` where there is no result that may be used yet.
    scores : mapping of str to float
        Validation scores: ``score``, larger is better, and further ones by their names. Empty without a valid result.
    costs : mapping of str to float
        ``parameters``, ``macs``, ``samples`` and, where a calibration predicts them, ``cpu_seconds``; the last two
        from the trial's start.
    samples : int
        Samples that the trial has seen; of a pending step those that it is to reach.
    """

    step: int
    trial: str
    candidate: Candidate
    origin: str = ""
    rung: int = 0
    resume_from: int | None = None
    state: str = "PENDING"
    scores: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0
    read_curve: Callable[[], Curve] = field(default=tuple, repr=False, compare=False)

    @property
    def score(self) -> float | None:
        """The validation score, larger is better; None without a valid result."""
        return self.scores.get("score")

    @cached_property
    def curve(self) -> Curve:
        """The validations of the step's training in order (rows of ``curve.tsv``), read when first asked for."""
        return self.read_curve()


@dataclass(frozen=True)
class SearchState:
    """Everything that a strategy may use.

    Attributes
    ----------
    feasible : FeasibleSpace
        The networks that may be proposed.
    history, pending : tuple of Observation
        Finished steps of all trials, and those without a result that may be used yet; each sorted by step.
    step : int
        Number of the step that is proposed.
    seed : int
        Seed of this search; a strategy derives one from it for each thing it draws.
    budget : callable
        Samples that the study's budget of one trial buys for a candidate.
    worker : Worker or None
        The node that is free (``order: arrival``); None: any.
    """

    feasible: FeasibleSpace
    history: tuple[Observation, ...]
    pending: tuple[Observation, ...]
    step: int
    seed: int
    budget: Callable[[Candidate], int]
    worker: Worker | None = None

    def __post_init__(self) -> None:
        for name in ("history", "pending"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name), key=lambda o: o.step)))

    @cached_property
    def taken(self) -> frozenset[str]:
        """Keys of all networks that this search has proposed."""
        return frozenset(o.candidate.key for o in (*self.history, *self.pending))

    @cached_property
    def continued(self) -> frozenset[int | None]:
        """Steps that later ones continue."""
        return frozenset(o.resume_from for o in (*self.history, *self.pending))

    @property
    def turn(self) -> int:
        """How many trials the strategy has begun itself: without the given first one, and without continuations."""
        return sum(o.rung == 0 and o.origin != "start" for o in (*self.history, *self.pending))

    def fits(self, architecture: Architecture, samples: int) -> bool:
        """Whether the free worker can train a network on so many samples in its time."""
        return self.worker is None or self.worker.fits(
            architecture, input_size(architecture, self.feasible.plan), samples
        )

    def is_free(self, candidate: Candidate) -> bool:
        """Whether a candidate was not proposed before, keeps the limits, and fits the worker for the trial's budget.

        A hand-made network, of which only the recipe is searched, need not fit.
        """
        if candidate.key in self.taken or not self.feasible.admits(candidate):
            return False
        return self.feasible.architecture is not None or self.fits(candidate.architecture, self.budget(candidate))


@dataclass(frozen=True)
class Suggestion:
    """What a step is to do: begin a trial of a candidate, or continue an earlier step.

    Attributes
    ----------
    candidate : Candidate or None
        Of a new trial.
    continue_step : int or None
        Number of a finished step that no other step continues.
    samples : int or None
        Samples that the trial is to have seen at the end of the step; None: the budget of one trial.
    origin : str
        How it was found, in a word: a column of the trials' table.
    note : str
        A remark for the report.
    resumable : bool
        Whether a later step may continue this one, so that its training state is kept.
    """

    candidate: Candidate | None = None
    continue_step: int | None = None
    samples: int | None = None
    origin: str = ""
    note: str = ""
    resumable: bool = False

    def __post_init__(self) -> None:
        if (self.candidate is None) == (self.continue_step is None):
            raise ValueError("a suggestion is of a new candidate or of a step to continue")
        if self.candidate is None and self.samples is None:
            raise ValueError("a suggestion to continue a step must say up to how many samples")


Proposer: TypeAlias = Callable[[SearchState], Suggestion | None]


class Strategy(StrategyOptions, ABC):
    """Proposes one step."""

    kind: ClassVar = "step"

    @abstractmethod
    def __call__(self, state: SearchState) -> Suggestion | None:
        """What the step does; None: there is nothing to do (the step is idle)."""


class Promotion(StrategyOptions, ABC):
    """Decides which trials continue."""

    kind: ClassVar = "promotion"

    @abstractmethod
    def __call__(self, state: SearchState, propose_new: Proposer) -> Suggestion | None:
        """What the step does; `propose_new` is the wrapped strategy, to which the state is passed on."""


@dataclass(frozen=True)
class Finding:
    """A network that a :class:`Job` has found, with what is known of it.

    Attributes
    ----------
    candidate : Candidate
    score : float
        Validation score, larger is better, by which the job's networks are ranked.
    metrics : mapping of str to float
        Further scores by name.
    samples : int
        Samples that the job spent on it; over all findings they add up to what the search cost.
    cpu_seconds : float or None
        The same in predicted CPU seconds, where the study has a calibration.
    note : str
        A remark for the report.
    """

    candidate: Candidate
    score: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0
    cpu_seconds: float | None = None
    note: str = ""


class Job(StrategyOptions, ABC):
    """A whole search in one job."""

    kind: ClassVar = "job"

    @abstractmethod
    def __call__(self, state: SearchState, paths: StudyPaths) -> Iterable[Finding]:
        """Search, and return the networks that were found, at least one.

        Parameters
        ----------
        state : SearchState
            Of step 0, without a history.
        paths : StudyPaths
            The study, for its arrays and splits.
        """
