"""Modules of :mod:`voxnas.arch.primitives.identity`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import ones
from voxnas.arch.primitives.identity import half_channels
from voxnas.nn.ops.base import CONV, MODULES, make_norm


@MODULES.register("identity")
def identity(node: Node, channels: Sequence[int]) -> nn.Module:
    """The input itself."""
    return nn.Identity()


class FactorisedReduction(nn.Module):
    """Pointwise convolutions of `in_channels` on different voxels of a strided grid, and a norm (Liu et al. 2019)."""

    def __init__(self, node: Node, in_channels: int) -> None:
        super().__init__()
        dims = len(node.stride)
        self.halves = nn.ModuleList(
            CONV[dims](in_channels, channels, 1, node.stride, bias=False)
            for channels in half_channels(node.channels, node.stride)
        )
        self.norm = make_norm(node.norm, node.channels, dims)
        # One voxel off at the beginning of each axis with a stride, and zeros at its end instead.
        self.shift = [edge for s in reversed(node.stride) for edge in ((-1, 1) if s > 1 else (0, 0))]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reduce x (B, C, *S)."""
        if len(self.halves) == 1:
            return self.norm(self.halves[0](x))
        shifted = nn.functional.pad(x, self.shift)
        return self.norm(torch.cat([self.halves[0](x), self.halves[1](shifted)], 1))


@MODULES.register("skip")
def skip(node: Node, channels: Sequence[int]) -> nn.Module:
    """The identity where shapes agree, else the factorised reduction."""
    if channels[0] == node.channels and node.stride == ones(len(node.stride)):
        return nn.Identity()
    return FactorisedReduction(node, channels[0])
