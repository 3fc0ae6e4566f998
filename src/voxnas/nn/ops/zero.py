"""Module of :mod:`voxnas.arch.primitives.zero`."""

from collections.abc import Sequence

from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import strided
from voxnas.nn.ops.base import MODULES


@MODULES.register("zero")
class Zero(nn.Module):
    """Zeros in the shape of the output."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels, self.stride = node.channels, node.stride

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros for x (B, C, *S)."""
        return x.new_zeros(x.shape[0], self.channels, *strided(tuple(x.shape[2:]), self.stride))
