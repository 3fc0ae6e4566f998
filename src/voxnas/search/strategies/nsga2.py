"""NSGA-II (Deb et al. 2002): crossing and mutation of the trials nearest to the front of the objectives.

The population is the best of all trials by dominance and crowding. It is renewed after each trial instead of after each
generation, so that the strategy is a function of the records and needs no barrier. With the score alone, the population
is the best trials by score.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from voxnas.core.seeds import derive_seed
from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import SearchState, Strategy, Suggestion
from voxnas.search.feasible import Config
from voxnas.search.strategies.random import Random

TRIES = 500


@STRATEGIES.register("nsga2")
class NSGA2(Strategy):
    """NSGA-II (Deb et al. 2002)."""

    population: Annotated[int, Field(ge=2)] = Field(20, description="Best trials by dominance and crowding.")
    crossover: Annotated[float, Field(ge=0, le=1)] = Field(
        0.9, description="Probability that a child has two parents; the child of one parent is a mutant of it."
    )

    def __call__(self, state: SearchState) -> Suggestion | None:
        """Cross and mutate the winners of two tournaments; the first `population` trials are random."""
        alive = [o.candidate.config for o in state.best_first(state.trials)[: self.population]]
        if state.turn < self.population or not alive:
            return Random()(state)
        space, rng = state.feasible.space, np.random.default_rng(derive_seed(state.seed, "nsga2", state.step))

        def winner() -> Config:
            """The better of two drawn members: the population is sorted."""
            return alive[int(rng.integers(len(alive), size=2).min())]

        for _ in range(TRIES):
            config, crossed = winner(), rng.random() < self.crossover
            if crossed:
                config = space.cross(config, winner(), rng)
            child = state.feasible.candidate(space.mutate(config, rng))
            if state.is_free(child):
                return Suggestion(child, origin="cross" if crossed else "mutation")
        return Random()(state)
