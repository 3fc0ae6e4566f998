"""Module of :mod:`voxnas.arch.primitives.ghost`."""

from collections.abc import Sequence

import torch
from torch import nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import ones
from voxnas.arch.primitives.ghost import cheap_kernel, ghost_channels
from voxnas.nn.ops.base import MODULES, ConvNorm


@MODULES.register("ghost")
class GhostBlock(nn.Module):
    """A convolution gives a part of the channels, and cheap ones derive the others from them (Han et al. 2020)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        convolved, self.made = ghost_channels(node)
        self.copies = -(-self.made // convolved)
        one = ones(len(node.stride))
        self.convolution = ConvNorm(channels[0], convolved, node.kernel, node.stride, node.norm, node.activation)
        self.cheap = (
            ConvNorm(self.made, self.made, cheap_kernel(node), one, node.norm, node.activation, groups=self.made)
            if self.made
            else None
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to x (B, C, *S)."""
        y = self.convolution(x)
        if self.cheap is None:
            return y
        source = y if self.copies == 1 else torch.cat([y] * self.copies, 1)
        return torch.cat([y, self.cheap(source[:, : self.made])], 1)
