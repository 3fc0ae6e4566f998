"""Hyperband (Li et al. 2018, JMLR): brackets of successive halving that differ in the length of their first rung.

Short trials favour networks that learn fast. Hyperband does not rely on them alone: one bracket starts many short
trials, the next ones start fewer and longer trials, and the last one trains all of its trials in full. A bracket costs
about as much as any other.
"""

from collections.abc import Iterator

from voxnas.core.strategies import STRATEGIES
from voxnas.search.strategies.halving import Halving


@STRATEGIES.register("hyperband")
class Hyperband(Halving):
    """Hyperband (Li et al. 2018)."""

    def brackets(self) -> Iterator[tuple[int, int]]:
        """Yield the brackets from the shortest first rung to the longest, in an endless cycle."""
        while True:
            for first in range(self.rungs):
                steps = self.rungs - 1 - first
                yield first, -(-self.rungs * self.factor**steps // (steps + 1))
