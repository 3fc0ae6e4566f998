"""Modules of :mod:`voxnas.arch.primitives.time_pool`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import MODULES


@MODULES.register("time_mean")
class TimeMean(nn.Module):
    """Mean over the frames."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Average a clip (B, T, C, *S) to (B, C, *S)."""
        return clip.mean(1)


@MODULES.register("time_max")
class TimeMax(nn.Module):
    """Largest value of the frames."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Reduce a clip (B, T, C, *S) to (B, C, *S)."""
        return clip.amax(1)
