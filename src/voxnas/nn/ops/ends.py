"""Modules of :mod:`voxnas.arch.primitives.ends`."""

from collections.abc import Sequence

from torch import nn

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import CONV, MODULES, TRANSPOSED
from voxnas.nn.ops.pointwise import PointwiseConv3d


@MODULES.register("transposed")
def transposed(node: Node, channels: Sequence[int]) -> nn.Module:
    """Transposed convolution whose kernel equals the stride."""
    layer = TRANSPOSED[len(node.stride)]
    return layer(channels[0], node.channels, node.stride, node.stride, bias=bool(node.option("bias")))


@MODULES.register("pointwise_head")
def pointwise_head(node: Node, channels: Sequence[int]) -> nn.Module:
    """Pointwise convolution with a bias."""
    if len(node.stride) == 3:
        return PointwiseConv3d(channels[0], node.channels, bias=True)
    return CONV[len(node.stride)](channels[0], node.channels, 1)


@MODULES.register("linear_head")
def linear_head(node: Node, channels: Sequence[int]) -> nn.Module:
    """Dropout and a linear layer on (B, C, 1 ..)."""
    return nn.Sequential(nn.Flatten(), nn.Dropout(float(node.option("dropout"))), nn.Linear(channels[0], node.channels))
