"""Random search (Bergstra and Bengio 2012): independent draws with rejection of networks that are not free."""

from __future__ import annotations

import numpy as np

from voxnas.core.seeds import derive_seed
from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import SearchState, Strategy, Suggestion

TRIES = 2000


@STRATEGIES.register("random")
class Random(Strategy):
    """Random search."""

    def __call__(self, state: SearchState) -> Suggestion | None:
        """Draw a network from the step's own seed, independently of earlier steps."""
        rng = np.random.default_rng(derive_seed(state.seed, "random", state.step))
        for _ in range(TRIES):
            candidate = state.feasible.candidate(state.feasible.space.sample(rng))
            if state.is_free(candidate):
                return Suggestion(candidate, origin="random")
        return None
