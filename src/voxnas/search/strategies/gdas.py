"""GDAS (Dong and Yang 2019, CVPR): gradient search over single sampled operations."""

from typing import Any

from pydantic import Field

from voxnas.arch.families.supernet import MixedCells
from voxnas.core.strategies import STRATEGIES
from voxnas.search.gradient import GradientSearch, active_share

EDGES = 2  # of a discrete node


@STRATEGIES.register("gdas")
class Gdas(GradientSearch):
    """One operation of each edge, with the weight 1 and a straight-through gradient."""

    cooling: float = Field(5.0, ge=0, description="Temperature max(0.001, exp(-cooling * progress)) of the samples.")

    def relaxation(self) -> dict[str, Any]:
        """A single operation of each of two edges."""
        return {"relaxation": "straight_through", "operations": 1, "edges": EDGES, "cooling": self.cooling}

    def work(self, supernet: MixedCells) -> float:
        """Passes over single operations."""
        return (1 + (1 - self.warm_up) / self.alpha_every) * active_share(supernet, 1, EDGES)
