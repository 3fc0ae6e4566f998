"""Module of :mod:`voxnas.arch.primitives.gate`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import CONV, MODULES, make_norm


@MODULES.register("attention_gate")
class AttentionGate(nn.Module):
    """A skip that is scaled by a sigmoid at each voxel (Oktay et al. 2018)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        dims, inner = len(node.stride), max(1, node.channels // 2)

        def project(inputs: int, outputs: int) -> nn.Module:
            return nn.Sequential(CONV[dims](inputs, outputs, 1, bias=False), make_norm(node.norm, outputs, dims))

        self.skip, self.signal = project(channels[0], inner), project(channels[1], inner)
        self.weight = project(inner, 1)

    def forward(self, skip: Tensor, signal: Tensor) -> Tensor:
        """Scale `skip` (B, C, *S) by weights that depend on it and on `signal` (B, G, *S)."""
        return skip * torch.sigmoid(self.weight(torch.relu(self.skip(skip) + self.signal(signal))))
