"""A dense 3D convolution that computes with the channels last where that is faster on processors.

oneDNN's kernels for contiguous volumes work on blocks of 16 channels. With other widths its backward pass
takes about twice as long as with the channels last, copies included (``benchmarks/primitives.py`` measures
it). The copies are made anew in the backward pass, so that training keeps no more memory than before.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from voxnas.arch.layers import Size, Size3

BLOCK = 16


class ChannelsLastConv3d(nn.Conv3d):
    """Parameters and results are those of :class:`torch.nn.Conv3d`, without a bias; inputs and outputs are contiguous.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel, stride, padding : tuple of int, (D, H, W)
    dilation : int
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: Size3, stride: Size3, padding: Size3, dilation: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, padding, dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, C, D, H, W)."""
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):
            kind = torch.get_autocast_dtype("cpu")
            x, weight = x.to(kind), weight.to(kind)
        return _Convolve.apply(x, weight, self.stride, self.padding, self.dilation)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, *geometry: Size) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        stride, padding, dilation = geometry
        return F.conv3d(_last(x), weight, None, stride, padding, dilation).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted = (*ctx.needs_input_grad[:2], False)
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            _last(grad), _last(x), weight, None, *ctx.geometry, False, (0, 0, 0), 1, wanted
        )
        return None if of_x is None else of_x.contiguous(), of_weight, None, None, None


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def is_faster_last(in_channels: int, out_channels: int) -> bool:
    """Whether a dense 3D convolution from `in_channels` to `out_channels` is faster with the channels last."""
    return in_channels > 1 and bool(in_channels % BLOCK or out_channels % BLOCK)
