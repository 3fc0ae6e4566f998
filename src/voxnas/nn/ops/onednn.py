"""A dense 3D convolution by oneDNN in the layout that is faster on CPUs.

PyTorch computes single small volumes in float32 by a matrix product of unfolded volumes instead of oneDNN, which takes
up to seven times as long. oneDNN's kernels for contiguous volumes work on blocks of 16 channels. With other widths the
backward pass of contiguous volumes takes about twice as long as the channels-last pass, copies included (measured by
``benchmarks/primitives.py``). The backward pass repeats the copies, so that training needs no additional memory.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from voxnas.arch.layers import Size, Size3

BLOCK = 16
SMALL = 20480  # largest product of channels, depth and height for which PyTorch does not choose oneDNN


class OneDnnConv3d(nn.Conv3d):
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
        self.last = is_faster_last(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, C, D, H, W)."""
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        return _Convolve.apply(*to_autocast(x, self.weight), self.last, self.stride, self.padding, self.dilation)


def to_autocast(x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    """Cast x (B, C, D, H, W) and `weights` (K, C, d, h, w) to the type of autocast on the CPU, if it is enabled."""
    if not torch.is_autocast_enabled("cpu"):
        return x, *weights
    dtype = torch.get_autocast_dtype("cpu")
    return x.to(dtype), *(weight.to(dtype) for weight in weights)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, last: bool, *geometry: Size) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.last, ctx.geometry = last, geometry
        stride, padding, dilation = geometry
        x = _last(x) if last else x
        if _unfolds(x):
            return torch.mkldnn_convolution(x, weight, None, padding, stride, dilation, 1).contiguous()
        return F.conv3d(x, weight, None, stride, padding, dilation).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        if _unfolds(x):  # tensors of oneDNN's type force its kernels
            x, grad = x.to_mkldnn(), grad.to_mkldnn()
        elif ctx.last:
            x, grad = _last(x), _last(grad)
        output_mask = (*ctx.needs_input_grad[:2], False)
        found = torch.ops.aten.convolution_backward(
            grad, x, weight, None, *ctx.geometry, False, (0, 0, 0), 1, output_mask
        )
        grad_x, grad_weight = (g.to_dense() if g is not None and g.is_mkldnn else g for g in found[:2])
        return None if grad_x is None else grad_x.contiguous(), grad_weight, None, None, None, None


def _unfolds(x: Tensor) -> bool:
    """Whether PyTorch would unfold x (B, C, D, H, W) although oneDNN is present."""
    refused = x.dtype is torch.float32 and len(x) == 1 and x[..., 0].numel() <= SMALL
    return refused and torch.backends.mkldnn.is_available()


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def is_faster_last(in_channels: int, out_channels: int) -> bool:
    """Whether a dense 3D convolution from `in_channels` to `out_channels` is faster in channels-last layout."""
    return in_channels > 1 and bool(in_channels % BLOCK or out_channels % BLOCK)
