"""Module of :mod:`voxnas.arch.primitives.separable`."""

from collections.abc import Sequence

from torch import nn

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import MODULES, ConvNorm, pointwise


@MODULES.register("separable")
def separable(node: Node, channels: Sequence[int]) -> nn.Module:
    """Depthwise convolution, then pointwise convolution (Howard et al. 2017)."""
    given = channels[0]
    return nn.Sequential(
        ConvNorm(given, given, node.kernel, node.stride, node.norm, node.activation, groups=given),
        pointwise(given, node.channels, node),
    )
