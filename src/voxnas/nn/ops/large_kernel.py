"""Module of :mod:`voxnas.arch.primitives.large_kernel`."""

from collections.abc import Sequence

from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.primitives.inverted import hidden_channels
from voxnas.arch.primitives.large_kernel import wide_kernel
from voxnas.nn.ops.base import CONV, MODULES, ConvNorm, make_activation, make_shortcut


@MODULES.register("large_kernel")
class LargeKernelBlock(nn.Module):
    """Large depthwise convolution, pointwise expansion and projection, and a skip (Roy et al. 2023)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        given, conv = channels[0], CONV[len(node.stride)]
        hidden = hidden_channels(given, node.channels, int(node.option("expansion")))
        self.path = nn.Sequential(
            ConvNorm(given, given, wide_kernel(node), node.stride, node.norm, None, groups=given),
            conv(given, hidden, 1),
            make_activation(node.activation),
            conv(hidden, node.channels, 1),
        )
        self.skip = make_shortcut(node, given)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to x (B, C, *S)."""
        return self.path(x) + self.skip(x)
