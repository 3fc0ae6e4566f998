"""Random search (Bergstra and Bengio 2012): independent draws, redrawn until one is free."""

from __future__ import annotations

import numpy as np

from voxnas.core.seeds import derive_seed
from voxnas.search.base import SearchState, Suggestion

TRIES = 2000


def propose(state: SearchState) -> Suggestion | None:
    """Draw a configuration; each step draws from its own seed, whatever the steps before it did."""
    rng = np.random.default_rng(derive_seed(state.seed, "random", state.step))
    for _ in range(TRIES):
        candidate = state.domain.candidate(state.domain.space.sample(rng))
        if state.is_free(candidate):
            return Suggestion(candidate, "random")
    return None
