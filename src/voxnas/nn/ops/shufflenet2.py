"""Module of :mod:`voxnas.arch.primitives.shufflenet2`."""

from collections.abc import Sequence

import torch
from torch import nn

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import MODULES, ConvNorm, keeps_shape, pointwise


def interleave(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Interleave the channels of first (B, C, *S) and second (B, C2, *S); surplus channels of second come last."""
    shared = first.shape[1]
    both = torch.stack((first, second[:, :shared]), 2).flatten(1, 2)
    return both if second.shape[1] == shared else torch.cat((both, second[:, shared:]), 1)


@MODULES.register("shufflenet2")
class ShuffleNet2Unit(nn.Module):
    """A branch on half of the channels, or two branches on all channels (Ma et al. 2018)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        given = channels[0]
        self.left, second = node.channels // 2, node.channels - node.channels // 2
        self.split = keeps_shape(node, given)

        def depthwise(count: int) -> nn.Module:
            return ConvNorm(count, count, node.kernel, node.stride, node.norm, None, groups=count)

        self.first = nn.Identity() if self.split else nn.Sequential(depthwise(given), pointwise(given, self.left, node))
        self.second = nn.Sequential(
            pointwise(second if self.split else given, second, node),
            depthwise(second),
            pointwise(second, second, node),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the unit to x (B, C, *S)."""
        left, right = (x[:, : self.left], x[:, self.left :]) if self.split else (x, x)
        return interleave(self.first(left), self.second(right))
