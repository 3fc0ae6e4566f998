"""PC-DARTS (Xu et al. 2020, ICLR): gradient search on a part of the channels."""

from typing import Any

from pydantic import Field

from voxnas.arch.families.supernet import MixedCells
from voxnas.core.strategies import STRATEGIES
from voxnas.search.gradient import GradientSearch


@STRATEGIES.register("pc_darts")
class PcDarts(GradientSearch):
    """All operations of an edge on a part of its channels; the other channels bypass them.

    Edges have weights of their own, as in every gradient search here. The first channels are the part, and a shuffle
    mixes both parts, as in the authors' code.
    """

    partial_channels: int = Field(2, ge=2, description="The operations take one in so many channels (the paper's K).")

    def partial(self) -> int:
        """The option."""
        return self.partial_channels

    def relaxation(self) -> dict[str, Any]:
        """All operations."""
        return {}

    def work(self, supernet: MixedCells) -> float:
        """Whole passes over the supernet, whose operations are narrow."""
        return 1 + (1 - self.warm_up) / self.alpha_every
