"""A dense 3D convolution in channels-last layout, for widths with which this layout is faster on CPUs.

oneDNN's kernels for contiguous volumes work on blocks of 16 channels. With other widths the backward pass of
contiguous volumes takes about twice as long as the channels-last pass, copies included (measured by
``benchmarks/primitives.py``). The backward pass repeats the copies, so that training needs no additional memory.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from voxnas.arch.layers import Size, Size3

BLOCK = 16


class ChannelsLastConv3d(nn.Conv3d):
    """Equivalent of :class:`torch.nn.Conv3d` without a bias; inputs and outputs are contiguous.

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
        return _Convolve.apply(*to_autocast(x, self.weight), self.stride, self.padding, self.dilation)


def to_autocast(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Cast x (B, C, D, H, W) and weight (K, C, d, h, w) to the type of autocast on the CPU, if it is enabled."""
    if not torch.is_autocast_enabled("cpu"):
        return x, weight
    dtype = torch.get_autocast_dtype("cpu")
    return x.to(dtype), weight.to(dtype)


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
        output_mask = (*ctx.needs_input_grad[:2], False)
        grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
            _last(grad), _last(x), weight, None, *ctx.geometry, False, (0, 0, 0), 1, output_mask
        )
        return None if grad_x is None else grad_x.contiguous(), grad_weight, None, None, None


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def is_faster_last(in_channels: int, out_channels: int) -> bool:
    """Whether a dense 3D convolution from `in_channels` to `out_channels` is faster in channels-last layout."""
    return in_channels > 1 and bool(in_channels % BLOCK or out_channels % BLOCK)
