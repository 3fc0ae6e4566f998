"""Module of :mod:`voxnas.arch.primitives.inverted`."""

from collections.abc import Sequence

from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.primitives.inverted import hidden_channels
from voxnas.nn.ops.base import MODULES, ConvNorm, keeps_shape, pointwise


@MODULES.register("inverted")
class InvertedBlock(nn.Module):
    """Pointwise expansion, depthwise convolution, linear pointwise projection (Sandler et al. 2018)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        hidden = hidden_channels(channels[0], node.channels, int(node.option("expansion")))
        self.path = nn.Sequential(
            pointwise(channels[0], hidden, node),
            ConvNorm(hidden, hidden, node.kernel, node.stride, node.norm, node.activation, groups=hidden),
            pointwise(hidden, node.channels, node, activation=False),
        )
        self.residual = keeps_shape(node, channels[0])

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to x (B, C, *S)."""
        y = self.path(x)
        return x + y if self.residual else y
