"""Module of :mod:`voxnas.arch.primitives.shufflenet`."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import ones
from voxnas.arch.primitives.shufflenet import branch_channels, shared_groups
from voxnas.nn.ops.base import AVERAGE_POOL, MODULES, ConvNorm, make_activation


@MODULES.register("shufflenet")
class ShuffleNetUnit(nn.Module):
    """A depthwise convolution between grouped pointwise convolutions, and a shortcut (Zhang et al. 2018)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        given, one = channels[0], ones(len(node.stride))
        hidden, last = branch_channels(given, node)
        self.groups = shared_groups(given, hidden, node)
        groups = shared_groups(hidden, last, node)
        self.squeeze = ConvNorm(given, hidden, one, one, node.norm, node.activation, self.groups)
        self.depthwise = ConvNorm(hidden, hidden, node.kernel, node.stride, node.norm, None, hidden)
        self.expand = ConvNorm(hidden, last, one, one, node.norm, None, groups)
        self.added, self.joined = node.channels == given, node.channels > given
        wide = tuple(3 if s > 1 else 1 for s in node.stride)
        pool = AVERAGE_POOL[len(one)](wide, node.stride, tuple(k // 2 for k in wide), count_include_pad=False)
        self.pool = nn.Identity() if node.stride == one else pool
        self.activation = make_activation(node.activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the unit to x (B, C, *S)."""
        y = self.squeeze(x)
        y = y if self.groups == 1 else F.channel_shuffle(y, self.groups)  # which copies a single group too
        y = self.expand(self.depthwise(y))
        if self.added:
            y = y + self.pool(x)
        elif self.joined:
            y = torch.cat((self.pool(x), y), 1)
        return self.activation(y)
