"""Module of :mod:`voxnas.arch.primitives.pairs`."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import MODULES


@MODULES.register("pairs")
class Pairs(nn.Module):
    """The values above the diagonal minus their means over the training scans; the means are 0 before the fit."""

    mean: Tensor

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(node.channels))

    def forward(self, x: Tensor) -> Tensor:
        """Select the values of x (B, C, *1, R, R); returns (B, C * pairs, 1 ..)."""
        return (self._vector(x) - self.mean).view(len(x), -1, *[1] * (x.ndim - 2))

    @staticmethod
    def _vector(x: Tensor) -> Tensor:
        regions = x.shape[-1]
        rows, columns = torch.triu_indices(regions, regions, 1, device=x.device)
        return x.flatten(-2)[..., rows * regions + columns].flatten(1)

    @torch.no_grad()
    def fit_inputs(self, inputs: Iterable[Tensor]) -> None:
        """Set the means to the means of `inputs`, each (C, *1, R, R)."""
        total, count = torch.zeros_like(self.mean, dtype=torch.float64), 0
        for x in inputs:
            total += self._vector(x[None].to(self.mean.device))[0]
            count += 1
        self.mean.copy_(total / count)
