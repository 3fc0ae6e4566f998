"""A strategy and a search that is a single job, each with options of its own."""

import numpy as np
from pydantic import Field

from voxnas.core.seeds import derive_seed
from voxnas.search.base import Finding, Job, Strategy, Suggestion

TRIES = 500


def draws(state, name):
    """Networks that are free, one after the other."""
    rng = np.random.default_rng(derive_seed(state.seed, name, state.step))
    found = (state.feasible.candidate(state.feasible.space.sample(rng)) for _ in range(TRIES))
    return filter(state.is_free, found)


class Frugal(Strategy):
    """Random search that spends half a budget on networks that are larger than the median so far."""

    share: float = Field(0.5, gt=0, le=1, description="Share of the budget for large networks.")

    def __call__(self, state):
        candidate = next(draws(state, "frugal"), None)
        if candidate is None:
            return None
        known = [o.costs["parameters"] for o in state.history if "parameters" in o.costs]
        large = bool(known) and state.feasible.cost(candidate.architecture).parameters > np.median(known)
        samples = max(1, round(self.share * state.budget(candidate))) if large else None
        return Suggestion(candidate, samples=samples, origin="drawn", note="large" if large else "")


class Smallest(Job):
    """Draws networks and prefers the ones with few MACs; trains nothing."""

    draws: int = Field(10, gt=0, description="Networks to draw.")

    def __call__(self, state, paths, trainer):
        for candidate, _ in zip(draws(state, "smallest"), range(self.draws), strict=False):
            macs = state.feasible.cost(candidate.architecture).macs
            yield Finding(candidate, score=1 / (1 + macs), metrics={"macs": macs}, note="scored by its MACs")
