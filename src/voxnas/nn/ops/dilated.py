"""Module of :mod:`voxnas.arch.primitives.dilated`."""

from collections.abc import Sequence

from torch import nn

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import MODULES, ConvNorm


@MODULES.register("dilated")
def dilated(node: Node, channels: Sequence[int]) -> nn.Module:
    """A dilated convolution with norm and activation (Yu and Koltun 2016)."""
    dilation = int(node.option("dilation"))
    return ConvNorm(channels[0], node.channels, node.kernel, node.stride, node.norm, node.activation, dilation=dilation)
