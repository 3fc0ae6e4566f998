"""Module of :mod:`voxnas.arch.primitives.preact`."""

from collections.abc import Sequence

from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import Size, ones
from voxnas.nn.ops.base import MODULES, keeps_shape, make_activation, make_conv, make_norm


@MODULES.register("preact")
class PreActivationBlock(nn.Module):
    """Norm, activation and convolution, twice, and a skip (He et al. 2016, ECCV)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        given, dims, one = channels[0], len(node.stride), ones(len(node.stride))

        def conv(inputs: int, kernel: Size, stride: Size) -> nn.Module:
            return make_conv(inputs, node.channels, kernel, stride)

        self.before = nn.Sequential(make_norm(node.norm, given, dims), make_activation(node.activation))
        self.path = nn.Sequential(
            conv(given, node.kernel, node.stride),
            make_norm(node.norm, node.channels, dims),
            make_activation(node.activation),
            conv(node.channels, node.kernel, one),
        )
        self.projection = None if keeps_shape(node, given) else conv(given, one, node.stride)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to x (B, C, *S)."""
        y = self.before(x)
        return self.path(y) + (x if self.projection is None else self.projection(y))
