"""Modules of :mod:`voxnas.arch.primitives.merge`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import MODULES


@MODULES.register("add")
class Add(nn.Module):
    """Sum."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Sum tensors of one shape."""
        return torch.stack(inputs).sum(0) if len(inputs) > 2 else inputs[0] + inputs[1]


@MODULES.register("concat")
class Concat(nn.Module):
    """Concatenation along the channels."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Join (B, C, *S) along C."""
        return torch.cat(inputs, dim=1)
