"""The space-filling design of a search: a scrambled Sobol sequence, which is the same at every step."""

import warnings
from collections.abc import Iterator

from voxnas.core.seeds import derive_seed
from voxnas.search.base import SearchState
from voxnas.search.feasible import Candidate

BLOCK = 64
BLOCKS = 64


def design(state: SearchState) -> Iterator[Candidate]:
    """Yield the candidates of the design of a search in order, whether or not they are free."""
    from scipy.stats import qmc

    space = state.feasible.space
    if space.dim == 0:
        return
    sobol = qmc.Sobol(space.dim, scramble=True, rng=derive_seed(state.seed, "design"))
    for _ in range(BLOCKS):
        with warnings.catch_warnings():
            # The warning concerns the balance of the set, which matters for quadrature alone.
            warnings.simplefilter("ignore", UserWarning)
            points = sobol.random(BLOCK)
        for point in points.tolist():
            yield state.feasible.candidate(space.from_unit(point))
