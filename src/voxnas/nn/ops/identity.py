"""Modules of :mod:`voxnas.arch.primitives.identity`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.primitives.identity import half_channels
from voxnas.nn.ops.base import CONV, MODULES, keeps_shape, make_norm


@MODULES.register("identity")
def identity(node: Node, channels: Sequence[int]) -> nn.Module:
    """The unchanged input."""
    return nn.Identity()


class FactorisedReduction(nn.Module):
    """Pointwise convolutions of `in_channels` on even and on odd voxels, and a norm (Liu et al. 2019)."""

    def __init__(self, node: Node, in_channels: int) -> None:
        super().__init__()
        dims = len(node.stride)
        self.halves = nn.ModuleList(
            CONV[dims](in_channels, channels, 1, node.stride, bias=False)
            for channels in half_channels(node.channels, node.stride)
        )
        self.norm = make_norm(node.norm, node.channels, dims)
        # Remove one voxel at the beginning of each axis with a stride, and append one zero at its end.
        self.shift = [edge for s in reversed(node.stride) for edge in ((-1, 1) if s > 1 else (0, 0))]

    def forward(self, x: Tensor) -> Tensor:
        """Reduce x (B, C, *S)."""
        if len(self.halves) == 1:
            return self.norm(self.halves[0](x))
        shifted = nn.functional.pad(x, self.shift)
        return self.norm(torch.cat([self.halves[0](x), self.halves[1](shifted)], 1))


@MODULES.register("skip")
def skip(node: Node, channels: Sequence[int]) -> nn.Module:
    """The identity between equal shapes, otherwise the factorised reduction."""
    return nn.Identity() if keeps_shape(node, channels[0]) else FactorisedReduction(node, channels[0])
