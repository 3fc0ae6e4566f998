"""A dense 3D convolution that computes with the channels last where that is faster on processors.

oneDNN's kernels for contiguous volumes work on blocks of 16 channels. With other widths its backward pass
takes about twice as long as with the channels last, copies included (``benchmarks/primitives.py`` measures it).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BLOCK = 16


class ChannelsLastConv3d(nn.Conv3d):
    """Parameters and results are those of :class:`torch.nn.Conv3d`; inputs and outputs are contiguous."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, C, D, H, W)."""
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        return super().forward(x.contiguous(memory_format=torch.channels_last_3d)).contiguous()


def is_faster_last(in_channels: int, out_channels: int) -> bool:
    """Whether a dense 3D convolution with these channels is faster with the channels last."""
    return in_channels > 1 and bool(in_channels % BLOCK or out_channels % BLOCK)
