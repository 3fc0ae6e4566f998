"""Module of :mod:`voxnas.arch.primitives.fire`."""

from collections.abc import Sequence

import torch
from torch import nn

from voxnas.arch.graph import Node
from voxnas.arch.primitives.fire import squeezed_channels
from voxnas.nn.ops.base import MODULES, ConvNorm, keeps_shape, pointwise


@MODULES.register("fire")
class FireModule(nn.Module):
    """A squeeze followed by two parallel expansions (Iandola et al. 2016)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        squeezed, half = squeezed_channels(node), node.channels // 2
        self.squeeze = pointwise(channels[0], squeezed, node)
        self.narrow = pointwise(squeezed, half, node, stride=node.stride)
        self.wide = ConvNorm(squeezed, node.channels - half, node.kernel, node.stride, node.norm, node.activation)
        self.bypass = bool(node.option("bypass")) and keeps_shape(node, channels[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the module to x (B, C, *S)."""
        squeezed = self.squeeze(x)
        y = torch.cat((self.narrow(squeezed), self.wide(squeezed)), 1)
        return x + y if self.bypass else y
