"""Module of :mod:`voxnas.arch.primitives.time_shift`."""

from collections.abc import Sequence

import torch
from torch import nn

from voxnas.arch.graph import Node
from voxnas.arch.primitives.time_shift import shifted_channels
from voxnas.nn.ops.base import MODULES


@MODULES.register("time_shift")
class TimeShift(nn.Module):
    """Shift of channels to the neighbouring frames (Lin et al. 2019)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        count = shifted_channels(channels[0], float(node.option("share")))
        self.later, self.earlier = count, 0 if node.option("causal") else count

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Apply the shift to a clip (B, T, C, *S)."""
        later, both = self.later, self.later + self.earlier
        moved = torch.zeros_like(clip)
        moved[:, 1:, :later] = clip[:, :-1, :later]
        moved[:, :-1, later:both] = clip[:, 1:, later:both]
        moved[:, :, both:] = clip[:, :, both:]
        return moved
