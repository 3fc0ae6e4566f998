"""The proposer protocol: from what is known at one step to what the step tries.

A proposer is a pure function of its :class:`Situation`. It keeps no state, reads no clock and no
file, and does not know how many steps there will be, so that a search can be rebuilt from its
records at any step and extended at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from voxnas.core.search_space import Config
from voxnas.search.domain import Candidate, Domain


@dataclass(frozen=True)
class Observation:
    """A finished step as a proposer sees it."""

    step: int
    config: Config
    key: str
    score: float | None
    """Validation score, larger is better; None: the trial failed."""


@dataclass(frozen=True)
class Situation:
    """Everything that a proposer may use."""

    domain: Domain
    history: tuple[Observation, ...]
    """Finished trials, sorted by step."""
    pending: tuple[Config, ...]
    """Configurations of the steps that are proposed and whose results are not used yet."""
    taken: frozenset[str]
    """Keys of all earlier proposals of this search."""
    step: int
    first: int
    """Steps before the proposer's own: 1 after a given first trial, else 0."""
    seed: int
    """Seed of this search; a proposer derives one from it for each thing it draws."""
    initial: int = 4
    """Points of the design before a surrogate takes over."""
    surrogate: Literal["gp", "forest"] = "gp"

    def is_free(self, candidate: Candidate) -> bool:
        """Whether a candidate was not proposed before and keeps the limits."""
        return candidate.key not in self.taken and self.domain.admits(candidate)


class Pick(NamedTuple):
    """A proposer's answer."""

    candidate: Candidate
    origin: Literal["design", "random", "surrogate"]


class Proposer(Protocol):
    """Chooses the next candidate, or None where it finds none that is free (the step is idle)."""

    def __call__(self, situation: Situation) -> Pick | None:
        """Answer for one step."""
