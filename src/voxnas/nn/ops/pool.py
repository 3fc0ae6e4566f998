"""Modules of :mod:`voxnas.arch.primitives.pool`."""

from collections.abc import Sequence

from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import ADAPTIVE_POOL, AVERAGE_POOL, MAX_POOL, MODULES


@MODULES.register("max_pool")
def max_pool(node: Node, channels: Sequence[int]) -> nn.Module:
    """Maximum of windows of the size of the stride."""
    return MAX_POOL[len(node.stride)](node.stride)


@MODULES.register("average_pool")
def average_pool(node: Node, channels: Sequence[int]) -> nn.Module:
    """Mean of windows of the size of the stride."""
    return AVERAGE_POOL[len(node.stride)](node.stride)


@MODULES.register("global_pool")
class GlobalPool(nn.Module):
    """Mean over the volume."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.axes = tuple(range(2, 2 + len(node.stride)))

    def forward(self, x: Tensor) -> Tensor:
        """Average x (B, C, *S) to (B, C, 1 ..)."""
        return x.mean(self.axes, keepdim=True)


@MODULES.register("grid_pool")
def grid_pool(node: Node, channels: Sequence[int]) -> nn.Module:
    """Means over the cells of a grid; x (B, C, *S) becomes (B, C * cells, 1 ..)."""
    dims = len(node.kernel)
    return nn.Sequential(ADAPTIVE_POOL[dims](node.kernel), nn.Flatten(), nn.Unflatten(1, (node.channels, *[1] * dims)))
