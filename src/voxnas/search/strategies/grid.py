"""Grid search: every point of a grid once, in an order that covers the space evenly at any time.

The points are numbered in mixed radix and visited by a stride near the golden section of their number that shares no
divisor with it (a lattice of Korobov, 1959). Hence each point is visited once without a list of all points, and the
first points are spread over the whole grid, in contrast to nested loops. The seed determines the first point.
"""

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from voxnas.arch.parameters import Parameter
from voxnas.core.seeds import derive_seed
from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import SearchState, Strategy, Suggestion

MOST_VISITED = 20_000


@STRATEGIES.register("grid")
class Grid(Strategy):
    """Grid search."""

    levels: Annotated[int, Field(ge=1)] = Field(
        3, description="Values of each range of numbers, from its lower to its upper end; choices are all tried."
    )

    def __call__(self, state: SearchState) -> Suggestion | None:
        """Return the next free point of the grid; None after its last point, or after 20,000 points without one."""
        space = state.feasible.space
        axes = [_positions(p, self.levels) for p in space.varying]
        size = math.prod(map(len, axes))
        stride = next(k for k in range(round(size * (math.sqrt(5) - 1) / 2), 2 * size + 2) if math.gcd(k, size) == 1)
        index, visited = derive_seed(state.seed, "grid") % size, len(state.taken) + MOST_VISITED
        for _ in range(min(size, visited)):
            rest, point = index, []
            for axis in axes:
                rest, digit = divmod(rest, len(axis))
                point.append(axis[digit])
            candidate = state.feasible.candidate(space.from_unit(point))
            if state.is_free(candidate):
                return Suggestion(candidate, origin="grid")
            index = (index + stride) % size
        return None


def _positions(p: Parameter, levels: int) -> list[float]:
    """Coordinates in [0, 1] of the values of a parameter: all choices, or levels of a range with both of its ends."""
    if p.choices or (p.count <= levels and not p.log):
        return [(k + 0.5) / int(p.count) for k in range(int(p.count))]
    return np.linspace(0, 1, levels).tolist() if levels > 1 else [0.5]
