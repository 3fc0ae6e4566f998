"""Progressive search (Liu et al. 2018, ECCV, PNAS): cells grow node by node, guided by a predictor.

The first trials are cells of one node. In each later stage the best networks of the stage before receive one more node
in many ways, a random forest that was fitted to all trials predicts the scores of these networks, and the best ones are
trained. After the last stage the best networks are mutated instead. In a space without cells there is one stage only.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from voxnas.core.seeds import derive_seed
from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import SearchState, Strategy, Suggestion
from voxnas.search.feasible import Candidate
from voxnas.search.strategies.random import Random
from voxnas.search.surrogate import predict_losses, robust_losses

EXPANSIONS = 200
TRIES = 1000


@STRATEGIES.register("progressive")
class Progressive(Strategy):
    """Progressive search (Liu et al. 2018)."""

    trials: Annotated[int, Field(ge=2)] = Field(10, description="Trials of each stage, that is of each size of cells.")
    beam: Annotated[int, Field(ge=1)] = Field(5, description="Best networks of a stage that are expanded in the next.")

    def __call__(self, state: SearchState) -> Suggestion | None:
        """Draw a small network in the first stage; later return the candidate with the best prediction."""
        space = state.feasible.space
        stage, last = state.turn // self.trials, space.stages() - 1
        rng = np.random.default_rng(derive_seed(state.seed, "progressive", state.step))
        scored = [o for o in state.trials if o.score is not None]
        smaller = [o for o in scored if stage > last or space.stage(o.candidate.config) < stage]
        if not smaller:
            draws = (space.grown(space.sample(rng), min(stage, last), rng) for _ in range(TRIES))
            drawn = next(filter(state.is_free, map(state.feasible.candidate, draws)), None)
            return Random()(state) if drawn is None else Suggestion(drawn, origin="drawn")
        if stage <= last:
            largest = max(space.stage(o.candidate.config) for o in smaller)
            smaller = [o for o in smaller if space.stage(o.candidate.config) == largest]
        parents = [o.candidate.config for o in state.best_first(smaller)[: self.beam]]
        children: dict[str, Candidate] = {}
        for index in range(TRIES):
            parent = parents[index % len(parents)]
            config = space.mutate(parent, rng) if stage > last else space.expand(parent, stage, rng)
            if stage <= last and space.stage(config) < stage:  # the drawn node has no operation
                continue
            candidate = state.feasible.candidate(config)
            if candidate.key not in children and state.is_free(candidate):
                children[candidate.key] = candidate
            if len(children) == EXPANSIONS:
                break
        if not children:
            return Random()(state)
        candidates = list(children.values())
        x = [state.feasible.features(o.candidate) for o in state.trials]
        points = [state.feasible.features(candidate) for candidate in candidates]
        losses = robust_losses([o.score for o in state.trials])
        predicted = predict_losses(np.array(x), losses, np.array(points), derive_seed(state.seed, "tree", state.step))
        return Suggestion(candidates[int(np.argmin(predicted))], origin="predictor")
