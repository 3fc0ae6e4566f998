"""Module of :mod:`voxnas.arch.primitives.factorised`."""

from collections.abc import Sequence

from torch import nn

from voxnas.arch.graph import Node
from voxnas.arch.primitives.factorised import middle_channels, split
from voxnas.nn.ops.base import MODULES, ConvNorm


@MODULES.register("factorised")
def factorised(node: Node, channels: Sequence[int]) -> nn.Module:
    """A convolution within slices and a convolution across slices (Qiu et al. 2017; Tran et al. 2018)."""
    middle = middle_channels(node, channels[0])
    if middle is None:
        return ConvNorm(channels[0], node.channels, node.kernel, node.stride, node.norm, node.activation)
    widths = (channels[0], middle), (middle, node.channels)
    return nn.Sequential(
        *(
            ConvNorm(*width, kernel, stride, node.norm, node.activation)
            for width, kernel, stride in zip(widths, split(node.kernel), split(node.stride), strict=True)
        )
    )
