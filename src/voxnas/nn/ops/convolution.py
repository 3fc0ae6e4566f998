"""Modules of :mod:`voxnas.arch.primitives.convolution`."""

from collections.abc import Sequence

from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import ones
from voxnas.nn.ops.base import MODULES, ConvNorm, make_activation, make_shortcut


@MODULES.register("plain")
def plain(node: Node, channels: Sequence[int]) -> nn.Module:
    """A convolution with norm and activation."""
    return ConvNorm(channels[0], node.channels, node.kernel, node.stride, node.norm, node.activation)


@MODULES.register("residual")
class ResidualBlock(nn.Module):
    """Two convolutions and a skip (He et al. 2016), which is a pointwise projection between different shapes."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.first = ConvNorm(channels[0], node.channels, node.kernel, node.stride, node.norm, node.activation)
        self.second = ConvNorm(node.channels, node.channels, node.kernel, ones(len(node.stride)), node.norm, None)
        self.skip = make_shortcut(node, channels[0])
        self.activation = make_activation(node.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to x (B, C, *S)."""
        return self.activation(self.second(self.first(x)) + self.skip(x))
