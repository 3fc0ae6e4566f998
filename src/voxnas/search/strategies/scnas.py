"""SCNAS (Kim et al. 2019, MICCAI): gradient search over samples of a supernet."""

from typing import Any

from pydantic import Field

from voxnas.arch.families.supernet import MixedCells
from voxnas.core.strategies import STRATEGIES
from voxnas.search.gradient import GradientSearch, active_share


@STRATEGIES.register("scnas")
class Scnas(GradientSearch):
    """Stochastic sampling of several operations of each edge on the continuous relaxation.

    Operations that are not sampled are neither computed nor stored. Differs from the paper in sampling edges too, by
    weights of their own (ROME, Wang et al. 2023, ICCV), and in the choice of samples without replacement.
    """

    operations: int = Field(2, ge=1, description="Operations of an edge that are computed.")
    edges: int = Field(2, ge=1, description="Edges of a node that are computed.")
    cooling: float = Field(5.0, ge=0, description="Temperature max(0.001, exp(-cooling * progress)) of the samples.")

    def relaxation(self) -> dict[str, Any]:
        """A weighted sample."""
        sampled = {"operations": self.operations, "edges": self.edges, "cooling": self.cooling}
        return {"relaxation": "gumbel", **sampled}

    def work(self, supernet: MixedCells) -> float:
        """Passes over samples."""
        passes = 1 + (1 - self.warm_up) / self.alpha_every
        return passes * active_share(supernet, self.operations, self.edges)
