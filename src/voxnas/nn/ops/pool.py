"""Modules of :mod:`voxnas.arch.primitives.pool`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import ADAPTIVE_POOL, AVERAGE_POOL, MAX_POOL, MODULES


@MODULES.register("max_pool")
def max_pool(node: Node, channels: Sequence[int]) -> nn.Module:
    """Largest value of windows as large as the stride."""
    return MAX_POOL[len(node.stride)](node.stride)


@MODULES.register("average_pool")
def average_pool(node: Node, channels: Sequence[int]) -> nn.Module:
    """Mean of windows as large as the stride."""
    return AVERAGE_POOL[len(node.stride)](node.stride)


@MODULES.register("global_pool")
class GlobalPool(nn.Module):
    """Mean over the volume."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.axes = tuple(range(2, 2 + len(node.stride)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Average x (B, C, *S) to (B, C, 1 ..)."""
        return x.mean(self.axes, keepdim=True)


@MODULES.register("grid_pool")
def grid_pool(node: Node, channels: Sequence[int]) -> nn.Module:
    """Means over a grid of places; x (B, C, *S) becomes (B, C * places, 1 ..)."""
    dims = len(node.kernel)
    return nn.Sequential(ADAPTIVE_POOL[dims](node.kernel), nn.Flatten(), nn.Unflatten(1, (node.channels, *[1] * dims)))
