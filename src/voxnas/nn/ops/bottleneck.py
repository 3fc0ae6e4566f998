"""Module of :mod:`voxnas.arch.primitives.bottleneck`."""

from collections.abc import Sequence

from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.primitives.bottleneck import inner_channels
from voxnas.nn.ops.base import MODULES, ConvNorm, make_activation, make_shortcut, pointwise


@MODULES.register("bottleneck")
class BottleneckBlock(nn.Module):
    """Pointwise convolution, convolution, pointwise convolution, and a skip (He et al. 2016)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        inner = inner_channels(node.channels, int(node.option("expansion")))
        self.path = nn.Sequential(
            pointwise(channels[0], inner, node),
            ConvNorm(inner, inner, node.kernel, node.stride, node.norm, node.activation),
            pointwise(inner, node.channels, node, activation=False),
        )
        self.skip = make_shortcut(node, channels[0])
        self.activation = make_activation(node.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to x (B, C, *S)."""
        return self.activation(self.path(x) + self.skip(x))
