"""Bayesian optimisation over records: a fixed design, then a surrogate that is refitted at each step.

The models and the acquisition function are those of scikit-optimize (see :mod:`voxnas.search.surrogate`). Its
``Optimizer`` is not used: rebuilt from a table it repeats its initial points, its default acquisition loses its
state, and it supports neither conditional spaces nor constraints.

**Fidelity.** With promotion, scores of different rungs are not comparable. One model is fitted to the steps of all
rungs, with the rung as an additional feature. Every finished step is an observation, so a promoted trial has one on
each of its rungs. The expected improvement is computed for the highest rung with a finished trial. Thus the few long
trainings have most weight, the many short trainings guide the search elsewhere, and the gain by longer training may
depend on the size of a network. Two alternatives are worse here. A model of the highest rung with enough
observations alone (BOHB) has too few of them in a search of tens of steps. Standardising the scores of each rung, or
shifting them by the mean gain of the promoted trials, is biased because these trials were selected by their scores.
The joint model includes the scores used for the selection and therefore avoids this bias.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxnas.core.seeds import derive_seed
from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import Observation, SearchState, Strategy, Suggestion
from voxnas.search.design import design
from voxnas.search.feasible import Candidate, FeasibleSpace
from voxnas.search.strategies.random import Random
from voxnas.search.surrogate import rank_by_improvement, robust_losses

RANDOM_CANDIDATES = 300
MUTANTS = 300
PARENTS = 5
MUTATIONS = 8
APART = 0.15  # minimum distance from every trial in at least one parameter, as a fraction of the parameter's range
INTERLEAVE = 3  # every third surrogate step considers random candidates alone (Hutter et al. 2011, SMAC)


@STRATEGIES.register("bayesian")
class Bayesian(Strategy):
    """Bayesian optimisation."""

    initial: Annotated[int, Field(gt=0)] = Field(
        4, description="Points of the space-filling design before the surrogate takes over."
    )
    surrogate: Literal["gp", "forest"] = Field("gp", description="Gaussian process or random forest.")

    def __call__(self, state: SearchState) -> Suggestion | None:
        """Propose the next point of the design, or the candidate with the largest expected improvement.

        The surrogate is used after `initial` points, provided that at least two scores are known.
        """
        # A baseline's own recipe may lie outside the space.
        known = [o for o in state.history if o.candidate.config]
        # The trial of a pending continuation is already in the history.
        pending = [o.candidate for o in state.pending if o.candidate.config and o.begins]
        scored = sum(o.score is not None and o.begins for o in known)
        if state.turn < self.initial or scored < 2:
            candidate = next(filter(state.is_free, design(state)), None)
            return Random()(state) if candidate is None else Suggestion(candidate, origin="design")
        candidates = _candidates(state, known, pending)
        if not candidates:
            return Random()(state)
        order = rank_by_improvement(
            self.surrogate,
            _features(state.feasible, (o.candidate for o in known)),
            np.array([o.rung for o in known]),
            robust_losses([o.score for o in known]),
            _features(state.feasible, pending),
            _features(state.feasible, candidates),
            derive_seed(state.seed, "surrogate", state.step),
        )
        return Suggestion(candidates[int(order[0])], origin="surrogate")


def _features(feasible: FeasibleSpace, candidates: Iterable[Candidate]) -> NDArray[np.float64]:
    return np.array([feasible.features(candidate) for candidate in candidates], dtype=float)


def _candidates(state: SearchState, known: Sequence[Observation], pending: Sequence[Candidate]) -> list[Candidate]:
    """Return distinct free candidates away from all trials: random ones, and mutants of the best."""
    space = state.feasible.space
    rng = np.random.default_rng(derive_seed(state.seed, "candidates", state.step))
    configs = [space.sample(rng) for _ in range(RANDOM_CANDIDATES)]
    latest = {o.candidate.key: o for o in known}.values()
    best = sorted(latest, key=lambda o: (o.score is None, -o.rung, -(o.score or 0.0), o.step))[:PARENTS]
    mutants = 0 if state.turn % INTERLEAVE == 0 else MUTANTS
    for index in range(mutants):
        config = best[index % len(best)].candidate.config
        # One to eight mutations, since the scores of the nearest neighbours differ from the parent's by noise alone.
        for _ in range(1 + index // len(best) % MUTATIONS):
            config = space.mutate(config, rng)
        configs.append(config)
    found = {c.key: c for c in map(state.feasible.candidate, configs)}
    free = [c for c in found.values() if state.is_free(c)]
    tried = np.array([space.encode(c.config) for c in (*(o.candidate for o in latest), *pending)])
    codes = np.array([space.encode(c.config) for c in free]).reshape(len(free), tried.shape[1])
    distances = np.abs(codes[:, None] - tried[None]).max(axis=2).min(axis=1)
    return [c for c, distance in zip(free, distances, strict=True) if distance >= APART] or free
