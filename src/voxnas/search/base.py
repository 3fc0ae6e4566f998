"""Protocol of strategies, which decide the next step of a search from its present state.

Strategies of three kinds are registered in :data:`voxnas.core.strategies.STRATEGIES`; other packages register theirs
by an entry point ``voxnas.proposers``. The fields of a strategy are its options.

- A :class:`Strategy` proposes one step: a new network, or an earlier step to continue.
- A :class:`Promotion` wraps a strategy: it decides which trials continue, and asks the strategy for new ones.
- A :class:`Job` is a whole search in one job, such as a gradient search.

The first two are pure functions of a :class:`SearchState`. They keep no state, read neither a clock nor a file, and do
not depend on the total number of steps. Hence a search can be rebuilt from its records at any step and extended at its
end.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxnas.arch.families.supernet import Kept
from voxnas.arch.views import input_size
from voxnas.complexity.placement import Worker
from voxnas.core.architecture import Architecture
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.strategies import StrategyOptions
from voxnas.core.training import Supernet, Training
from voxnas.core.trial import PriorTrial
from voxnas.search import objectives
from voxnas.search.feasible import Candidate, FeasibleSpace

Curve: TypeAlias = tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class Observation:
    """One step of a search, in the form given to a strategy.

    Attributes
    ----------
    step : int
    trial : str
        Trial to which the step belongs.
    candidate : Candidate
        Network and recipe of the trial.
    origin : str
        Origin of the step's suggestion; ``start`` denotes the given first trial.
    rung : int
        Fidelity of the step: the rung on which the trial began (usually 0) plus the number of earlier continuations.
    resume_from : int or None
        Step that this step continues.
    state : str
        ``DONE``, ``STOPPED`` or ``FAILED``; ``PENDING`` without a usable result.
    scores : mapping of str to float
        Validation scores by name; ``score`` is the objective, larger is better. Empty without a valid result.
    costs : mapping of str to float
        ``parameters``, ``macs``, ``samples`` and, with a calibration, ``cpu_seconds``; the last two are counted from
        the start of the trial.
    samples : int
        Samples seen by the trial; for a pending step, samples to reach.
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
        """Validation score, larger is better; None without a valid result."""
        return self.scores.get("score")

    @property
    def begins(self) -> bool:
        """Whether the step is the first of its trial."""
        return self.resume_from is None

    @property
    def preference(self) -> tuple[int, float, int]:
        """Sort key of finished steps, best first: failed ones last, higher rungs first, then by score and step."""
        return (1, 0.0, self.step) if self.score is None else (-self.rung, -self.score, self.step)

    @cached_property
    def curve(self) -> Curve:
        """Validations of the step's training in order (rows of ``curve.tsv``), read on first access."""
        return self.read_curve()


@dataclass(frozen=True)
class SearchState:
    """Information available to a strategy.

    Attributes
    ----------
    feasible : FeasibleSpace
        Networks that may be proposed.
    history, pending : tuple of Observation
        Finished steps of all trials, and steps without a usable result; each sorted by step.
    step : int
        Number of the proposed step.
    seed : int
        Seed of the search, from which a strategy derives the seed of each random draw.
    budget : callable
        Function of a candidate that returns the samples of one trial within the study's budget; with a second argument,
        the samples of one step within this multiple of the budget. Raises UserError if it does not pay for a batch.
    worker : Worker or None
        Free node (``order: arrival``); None: any.
    objectives : tuple of str
        ``score``, then the costs that are objectives, too.
    prior : tuple of tuple of PriorTrial
        Trials of earlier studies over the same space, by table; scores are comparable within a table only.
    """

    feasible: FeasibleSpace
    history: tuple[Observation, ...]
    pending: tuple[Observation, ...]
    step: int
    seed: int
    budget: Callable[..., int]
    worker: Worker | None = None
    objectives: tuple[str, ...] = ("score",)
    prior: tuple[tuple[PriorTrial, ...], ...] = ()

    def __post_init__(self) -> None:
        for name in ("history", "pending"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name), key=lambda o: o.step)))

    @cached_property
    def taken(self) -> frozenset[str]:
        """Keys of all networks that this search has proposed."""
        return frozenset(o.candidate.key for o in (*self.history, *self.pending))

    @cached_property
    def continued(self) -> frozenset[int | None]:
        """Steps that have a continuation."""
        return frozenset(o.resume_from for o in (*self.history, *self.pending))

    @property
    def turn(self) -> int:
        """Number of trials begun by the strategy itself, without the given first trial and without continuations."""
        return sum(o.begins and o.origin != "start" for o in (*self.history, *self.pending))

    @cached_property
    def trials(self) -> tuple[Observation, ...]:
        """The latest finished step of each trial of a point of the space, in the order in which the trials began.

        The recipe of a baseline may lie outside the space; its trial has no configuration and is left out.
        """
        latest: dict[str, Observation] = {}
        for o in sorted((o for o in self.history if o.candidate.config), key=lambda o: o.rung):
            latest[o.trial] = o
        began = {o.trial: o.step for o in self.history if o.begins}
        return tuple(sorted(latest.values(), key=lambda o: began[o.trial]))

    def log_costs(self, candidates: Iterable[Candidate]) -> NDArray[np.float64]:
        """Return the logarithms of the costs that are objectives; (N, number of objectives - 1)."""
        costs = self.objectives[1:]
        amounts = [[self.feasible.amount(c.architecture, name) for name in costs] for c in candidates]
        return np.log(np.maximum(np.array(amounts, dtype=float).reshape(len(amounts), len(costs)), 1e-9))

    def best_first(self, steps: Iterable[Observation]) -> list[Observation]:
        """Sort finished steps, best first: failed ones last, and higher rungs first.

        Steps of one rung are sorted by score; with several objectives, by dominance and crowding (Deb et al. 2002), so
        that a trial of the front precedes every trial that it dominates.
        """
        ordered = sorted(steps, key=lambda o: o.preference)
        if len(self.objectives) == 1:
            return ordered
        found: list[Observation] = []
        for (failed, _), group in groupby(ordered, key=lambda o: (o.score is None, o.rung)):
            same = list(group)
            if not failed:
                losses = np.column_stack([[-(o.score or 0.0) for o in same], self.log_costs(o.candidate for o in same)])
                same = [same[i] for i in objectives.best_first(losses)]
            found += same
        return found

    def fits(self, architecture: Architecture, samples: int) -> bool:
        """Whether the free worker can train a network on a number of samples within its time."""
        return self.worker is None or self.worker.fits(
            architecture, input_size(architecture, self.feasible.plan), samples
        )

    def is_free(self, candidate: Candidate) -> bool:
        """Whether a candidate is new, satisfies the limits, and is trainable within the budget and on the worker.

        A hand-made network, whose recipe alone is searched, need not fit the worker.
        """
        if candidate.key in self.taken or not self.feasible.admits(candidate):
            return False
        if self.feasible.architecture is not None:
            return True
        try:
            samples = self.budget(candidate)
        except UserError:  # the budget does not pay for a training of this network
            return False
        return self.fits(candidate.architecture, samples)


@dataclass(frozen=True)
class Suggestion:
    """Decision on a step: begin a trial of a candidate, or continue an earlier step.

    Attributes
    ----------
    candidate : Candidate or None
        Candidate of a new trial.
    continue_step : int or None
        Number of a finished step without a continuation.
    samples : int or None
        Samples seen by the trial at the end of the step; None: the budget of one trial.
    origin : str
        Method by which the suggestion was found, in one word; a column of the table of trials.
    note : str
        Remark for the report.
    resumable : bool
        Whether a later step may continue this one, so that its training state is kept.
    rung : int
        Rung on which a new trial begins.
    """

    candidate: Candidate | None = None
    continue_step: int | None = None
    samples: int | None = None
    origin: str = ""
    note: str = ""
    resumable: bool = False
    rung: int = 0

    def __post_init__(self) -> None:
        if (self.candidate is None) == (self.continue_step is None):
            raise ValueError("a suggestion has either a new candidate or a step to continue")
        if self.candidate is None and self.samples is None:
            raise ValueError("a suggestion to continue a step must state the samples to reach")


Proposer: TypeAlias = Callable[[SearchState], Suggestion | None]


class Strategy(StrategyOptions, ABC):
    """Proposes one step."""

    kind: ClassVar = "step"

    @abstractmethod
    def __call__(self, state: SearchState) -> Suggestion | None:
        """Decide on the step; None if nothing remains to be done (the step is idle)."""


class Promotion(StrategyOptions, ABC):
    """Decides which trials are continued."""

    kind: ClassVar = "promotion"

    @abstractmethod
    def __call__(self, state: SearchState, propose_new: Proposer) -> Suggestion | None:
        """Decide on the step; `propose_new` is the wrapped strategy, which receives the same state."""


@dataclass(frozen=True)
class Finding:
    """A network found by a :class:`Job`.

    Attributes
    ----------
    candidate : Candidate
    score : float or None
        Validation score for the ranking of the job's networks, larger is better; None after a failure.
    metrics : mapping of str to float
        Further scores by name.
    samples : int
        Samples spent on the network; the sum over all findings is the cost of the search.
    cpu_seconds : float or None
        The same cost in predicted CPU seconds; None without a calibration.
    note : str
        Remark for the report.
    files : mapping of str to str
        Texts to write beside the result, by the name of the file.
    failure : str
        Reason for which the training of the network failed; empty: it did not.
    """

    candidate: Candidate
    score: float | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0
    cpu_seconds: float | None = None
    note: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class Trained:
    """A finished training of a :class:`Job`.

    Attributes
    ----------
    digest : str
        Digest of the training in the store.
    score : float or None
        Validation score; None without a validation fold or after a failure.
    metrics : mapping of str to float
    curve : str
        Content of ``curve.tsv``; empty without an entry in the store.
    cpu_seconds : float
        Measured processor time; 0 without an entry in the store.
    failure : str
        Reason for which the training failed, such as a divergence; empty: it did not.
    """

    digest: str
    score: float | None
    metrics: Mapping[str, float]
    curve: str
    cpu_seconds: float
    failure: str = ""


class Trainer(Protocol):
    """Trainings of a :class:`Job`, on the processes that it was started with."""

    def train(self, job: Training) -> Trained:
        """Train a `job`, or find the training in the store of the study."""

    def discretize(self, job: Supernet, digest: str) -> tuple[Kept, float]:
        """Keep the best operations of the finished training `digest` of a `job`, and score them with its weights.

        See :func:`voxnas.training.discretize.discretize`.
        """


class Job(StrategyOptions, ABC):
    """A whole search in one job."""

    kind: ClassVar = "job"

    def budgets(self) -> float | None:
        """Expected cost of the search, as a multiple of the budget of one trial; None: unknown."""
        return None

    @abstractmethod
    def __call__(self, state: SearchState, paths: StudyPaths, trainer: Trainer) -> Iterable[Finding]:
        """Search, and return at least one network.

        Parameters
        ----------
        state : SearchState
            State at step 0, without a history.
        paths : StudyPaths
            Study with the arrays and splits.
        trainer : Trainer
        """
