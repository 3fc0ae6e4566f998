"""Hierarchical evolution (Liu et al. 2018, ICLR): tournaments among all trials, and mutations of one level.

In a space of motifs of motifs a mutation first draws the level and then an edge of it. The few edges of the cell are
thus changed as often as the many edges of the motifs, and a change of a motif changes the network wherever the motif is
used. No trial dies. The initial population of the paper, trivial networks after 1000 mutations, is close to a uniform
draw; hence strategy ``random`` in such a space is the paper's random search.
"""

from typing import Annotated

from pydantic import Field

from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import SearchState, Strategy, Suggestion
from voxnas.search.strategies.evolution import breed
from voxnas.search.strategies.random import Random


@STRATEGIES.register("hierarchical")
class Hierarchical(Strategy):
    """Hierarchical evolution (Liu et al. 2018)."""

    initial: Annotated[int, Field(ge=1)] = Field(20, description="Random trials before the first mutation.")
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.05, description="Share of all trials in a tournament, at least two trials."
    )

    def __call__(self, state: SearchState) -> Suggestion | None:
        """Mutate one level of the winner of a tournament."""
        if state.turn < self.initial:
            return Random()(state)
        size = max(2, round(self.share * len(state.trials)))
        return breed(state, state.trials, size, state.feasible.space.mutate_level)
