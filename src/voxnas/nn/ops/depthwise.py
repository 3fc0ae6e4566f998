"""A depthwise 3D convolution with a fast backward pass on CPUs.

PyTorch computes the forward pass by oneDNN's fast kernel for depthwise convolutions. It has no such kernel for the
backward pass in three dimensions, which is slower by an order of magnitude (measured by ``benchmarks/primitives.py``).
This module computes

- the gradient of the input by the forward kernel, as a convolution with the mirrored kernel;
- the gradient of the weights by oneDNN's two-dimensional backward kernel, plane by plane;
- all passes in pieces that fit into the processor's caches.

Other devices and exported networks use PyTorch's implementation.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from voxnas.arch.layers import Size, Size3
from voxnas.nn.ops.onednn import to_autocast
from voxnas.nn.ops.tiles import box_of

PIECE = 16  # channels of one sample that are computed at a time; measured
TILE = 3  # largest kernel of oneDNN's depthwise backward pass


class DepthwiseConv3d(nn.Conv3d):
    """Convolution of each channel alone; equivalent of a depthwise :class:`torch.nn.Conv3d`.

    Parameters
    ----------
    channels : int
    kernel, stride, padding : tuple of int, (D, H, W)
    dilation : int
    """

    def __init__(self, channels: int, kernel: Size3, stride: Size3, padding: Size3, dilation: int = 1) -> None:
        super().__init__(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, C, D, H, W)."""
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        return _Depthwise.apply(*to_autocast(x, self.weight), self.stride, self.padding, self.dilation)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Size, padding: Size, dilation: Size) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = stride, padding, dilation
        return _convolve(x, weight, stride, padding, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            grad_x = _grad_input(grad, x, weight, *ctx.geometry) if ctx.needs_input_grad[0] else None
            grad_weight = _grad_weight(grad, x, weight, *ctx.geometry) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, None, None, None


def _pieces(x: Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield the slices of samples and channels of each piece."""
    for sample in range(x.shape[0]):
        for first in range(0, x.shape[1], PIECE):
            yield slice(sample, sample + 1), slice(first, first + PIECE)


def _convolve(x: Tensor, weight: Tensor, stride: Size, padding: Size, dilation: Size) -> Tensor:
    if x.shape[0] == 1 and x.shape[1] <= PIECE:
        return F.conv3d(x, weight, None, stride, padding, dilation, len(weight))
    output = None
    for sample, channels in _pieces(x):
        kernel = weight[channels]
        piece = F.conv3d(x[sample, channels], kernel, None, stride, padding, dilation, len(kernel))
        if output is None:
            output = piece.new_empty((*x.shape[:2], *piece.shape[2:]))
        output[sample, channels] = piece
    assert output is not None  # x has at least one piece
    return output


def _grad_input(grad: Tensor, x: Tensor, weight: Tensor, stride: Size, padding: Size, dilation: Size) -> Tensor:
    """Convolve the gradient, spread by the stride, with the mirrored kernel."""
    reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    if any(s > 1 for s in stride):
        size = [n + 2 * p - r for n, p, r in zip(x.shape[2:], padding, reach, strict=True)]
        spread = grad.new_zeros((*grad.shape[:2], *size))
        spread[:, :, :: stride[0], :: stride[1], :: stride[2]] = grad
        grad = spread
    margin = tuple(r - p for r, p in zip(reach, padding, strict=True))
    return _convolve(grad, weight.flip(2, 3, 4), (1, 1, 1), margin, dilation)


def _grad_weight(grad: Tensor, x: Tensor, weight: Tensor, stride: Size, padding: Size, dilation: Size) -> Tensor:
    """Sum the gradients of each slice of the kernel along the first axis over all pieces."""
    total = torch.zeros_like(weight, dtype=torch.float32)
    for sample, channels in _pieces(x):
        # Planes as a batch of images with the channels last: (D, C, H, W).
        planes, seen = (
            t[sample, channels].permute(0, 2, 3, 4, 1).contiguous().squeeze(0).permute(0, 3, 1, 2) for t in (x, grad)
        )
        for tap in range(weight.shape[2]):
            start = tap * dilation[0] - padding[0]  # plane under this tap for output plane 0
            first = max(0, -(start // stride[0]))
            last = min(len(seen), (len(planes) - 1 - start) // stride[0] + 1)
            if last <= first:
                continue
            under = planes[start + first * stride[0] : start + (last - 1) * stride[0] + 1 : stride[0]]
            found = total[channels, :, tap]
            if weight.dtype is torch.bfloat16 and max(found.shape[2:]) > TILE:
                _add_in_tiles(found, seen[first:last], under, stride[1:], padding[1:], dilation[1:])
            else:
                found += _grad_plane(seen[first:last], under, found, stride[1:], padding[1:], dilation[1:])
    return total.to(weight.dtype)


def _grad_plane(seen: Tensor, under: Tensor, like: Tensor, stride: Size, padding: Size, dilation: Size) -> Tensor:
    """Gradient of the weights, of the shape of `like`, of a depthwise convolution of images."""
    kernel = like.to(under.dtype)  # only its shape and type matter
    return torch.ops.aten.convolution_backward(
        seen, under, kernel, None, stride, padding, dilation, False, (0, 0), len(kernel), (False, True, False)
    )[1]


def _add_in_tiles(total: Tensor, seen: Tensor, under: Tensor, stride: Size, padding: Size, dilation: Size) -> None:
    """Add the gradient of :func:`_grad_plane` to `total` by tiles of the kernel, which oneDNN limits in bfloat16."""
    under = F.pad(under, (padding[1], padding[1], padding[0], padding[0]))
    for places in product(*(range(0, k, TILE) for k in total.shape[2:])):
        tile, window = [], []
        for place, k, n, s, d in zip(places, total.shape[2:], seen.shape[2:], stride, dilation, strict=True):
            taps = min(TILE, k - place)
            tile.append(slice(place, place + taps))
            window.append(slice(place * d, place * d + (n - 1) * s + (taps - 1) * d + 1))
        part = box_of(total, tile)
        image = box_of(under, window).contiguous(memory_format=torch.channels_last)
        part += _grad_plane(seen, image, part, stride, (0, 0), dilation)
