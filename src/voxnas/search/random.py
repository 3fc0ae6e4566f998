"""Random search (Bergstra and Bengio 2012): independent draws, redrawn until one is free."""

from __future__ import annotations

import numpy as np

from voxnas.core.seeds import derive_seed
from voxnas.search.base import Pick, Situation

TRIES = 2000


def propose(situation: Situation) -> Pick | None:
    """Draw a configuration; each step draws from its own seed, whatever the steps before it did."""
    rng = np.random.default_rng(derive_seed(situation.seed, "random", situation.step))
    for _ in range(TRIES):
        candidate = situation.domain.candidate(situation.domain.space.sample(rng))
        if situation.is_free(candidate):
            return Pick(candidate, "random")
    return None
