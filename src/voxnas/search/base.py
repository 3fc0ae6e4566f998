"""The proposer protocol: from what is known at one step to what the step tries.

A proposer is a pure function of its :class:`SearchState`. It keeps no state, reads no clock and no
file, and does not know how many steps there will be, so that a search can be rebuilt from its
records at any step and extended at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from voxnas.arch.search_space import Config
from voxnas.search.feasible import Candidate, FeasibleSpace


@dataclass(frozen=True)
class Observation:
    """A finished step as a proposer sees it."""

    step: int
    config: Config
    key: str
    score: float | None
    """Validation score, larger is better; None: the training failed."""
    rung: int = 0
    """Rung of fidelity that the trial had reached; a promoted trial has an observation on each."""


@dataclass(frozen=True)
class SearchState:
    """Everything that a proposer may use."""

    domain: FeasibleSpace
    history: tuple[Observation, ...]
    """Finished steps of all trials, sorted by step."""
    pending: tuple[Config, ...]
    """Configurations of the trials that are proposed and have no result that may be used yet."""
    taken: frozenset[str]
    """Keys of all earlier proposals of this search."""
    step: int
    first: int
    """Trials before the proposer's own: 1 after a given first trial, else 0."""
    seed: int
    """Seed of this search; a proposer derives one from it for each thing it draws."""
    initial: int = 4
    """Points of the design before a surrogate takes over."""
    surrogate: Literal["gp", "forest"] = "gp"

    @property
    def turn(self) -> int:
        """How many trials the proposer has begun itself; promotions between them do not count."""
        return len(self.taken) - self.first

    def is_free(self, candidate: Candidate) -> bool:
        """Whether a candidate was not proposed before and keeps the limits."""
        return candidate.key not in self.taken and self.domain.admits(candidate)


class Suggestion(NamedTuple):
    """A proposer's answer."""

    candidate: Candidate
    origin: Literal["design", "random", "surrogate"]


class Proposer(Protocol):
    """Chooses the next candidate, or None where it finds none that is free (the step is idle)."""

    def __call__(self, state: SearchState) -> Suggestion | None:
        """Answer for one step."""
