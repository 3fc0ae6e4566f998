"""DARTS (Liu et al. 2019, ICLR): gradient search over a supernet whose edges compute all operations."""

from typing import Any, Literal

from pydantic import Field

from voxnas.arch.families.supernet import MixedCells
from voxnas.core.strategies import STRATEGIES
from voxnas.search.gradient import GradientSearch

SECOND_ORDER_PASSES = (
    5  # of the alphas: one step of the weights, one on the scans of the alphas, two for the difference
)


@STRATEGIES.register("darts")
class Darts(GradientSearch):
    """Differentiable architecture search by a softmax over all operations."""

    order: Literal[1, 2] = Field(1, description="2: the alphas anticipate a step of the weights.")
    auxiliary_skip: float = Field(0.0, ge=0, description="Initial weight of an auxiliary skip connection (DARTS-).")

    def relaxation(self) -> dict[str, Any]:
        """All operations."""
        return {"order": self.order, "auxiliary_skip": self.auxiliary_skip}

    def work(self, supernet: MixedCells) -> float:
        """Whole passes, by the order."""
        passes = 1 if self.order == 1 else SECOND_ORDER_PASSES
        return 1 + passes * (1 - self.warm_up) / self.alpha_every
