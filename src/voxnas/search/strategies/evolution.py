"""Regularised evolution (Real et al. 2019, AAAI): mutation of tournament winners, and death by age.

The population is a queue. A child replaces the oldest network and not the worst one, so a network remains only through
descendants that score well again, and a score that was high by chance is forgotten.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
from pydantic import Field

from voxnas.core.seeds import derive_seed
from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import Observation, SearchState, Strategy, Suggestion
from voxnas.search.feasible import Config
from voxnas.search.strategies.random import Random

TRIES = 500

Mutation = Callable[[Config, np.random.Generator], Config]


@STRATEGIES.register("evolution")
class Evolution(Strategy):
    """Regularised evolution (Real et al. 2019)."""

    population: Annotated[int, Field(ge=2)] = Field(20, description="Trials that are alive: the latest ones.")
    tournament: Annotated[int, Field(ge=1)] = Field(
        5, description="Living trials drawn for each child; the best of them is its parent."
    )

    def __call__(self, state: SearchState) -> Suggestion | None:
        """Mutate the winner of a tournament; the first `population` trials are random."""
        if state.turn < self.population:
            return Random()(state)
        return breed(state, state.trials[-self.population :], self.tournament, state.feasible.space.mutate)


def breed(state: SearchState, alive: tuple[Observation, ...], tournament: int, mutate: Mutation) -> Suggestion | None:
    """Return a free mutant of the winner of a tournament, or a random network if there is no trial or no such mutant.

    Each attempt draws a new tournament without replacement. A failed trial loses to every score.

    Parameters
    ----------
    state : SearchState
    alive : tuple of Observation
        The population.
    tournament : int
        Number of trials in a tournament; at most the population.
    mutate : callable
        Function of a configuration and a random generator that returns a neighbour.
    """
    rng = np.random.default_rng(derive_seed(state.seed, "evolution", state.step))
    for _ in range(TRIES if alive else 0):
        drawn = rng.permutation(len(alive))[:tournament]
        parent = state.best_first(alive[i] for i in drawn)[0]
        child = state.feasible.candidate(mutate(parent.candidate.config, rng))
        if state.is_free(child):
            return Suggestion(child, origin="mutation")
    return Random()(state)
