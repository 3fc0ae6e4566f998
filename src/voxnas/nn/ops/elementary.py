"""Modules of :mod:`voxnas.arch.primitives.elementary`."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import Size
from voxnas.nn.ops.base import (
    ADAPTIVE_POOL,
    AVERAGE_POOL,
    CONV,
    MAX_POOL,
    MODULES,
    Stateless,
    make_activation,
    make_conv,
    make_norm,
)

INTERPOLATION = {1: "linear", 2: "bilinear", 3: "trilinear"}


def activation_of(node: Node, channels: int) -> nn.Module:
    """Make the activation of a node; a PReLU has one slope for each of the `channels`."""
    return nn.PReLU(channels) if node.activation == "prelu" else make_activation(node.activation)


class ChannelBias(nn.Module):
    """Learnt bias of each of the `channels` of a tensor with `dims` spatial dimensions."""

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels, *[1] * dims))

    def forward(self, x: Tensor) -> Tensor:
        """Add the bias to x (B, C, *S)."""
        return x + self.shift


class Pad(nn.Module):
    """Padding with which windows give ceil(size / stride) outputs.

    An odd kernel is padded at both ends of an axis, an even one at the far end.

    Parameters
    ----------
    kernel, stride : tuple of int
        Of the windows; an even kernel equals the stride.
    value : float
        Value of the padding.
    """

    def __init__(self, kernel: Size, stride: Size, value: float = 0.0) -> None:
        super().__init__()
        self.windows = tuple(zip(kernel, stride, strict=True))
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        """Pad x (B, C, *S)."""
        ends = [(k // 2, k // 2) if k % 2 else (0, -n % s) for n, (k, s) in zip(x.shape[2:], self.windows, strict=True)]
        margins = [width for pair in reversed(ends) for width in pair]
        pads = torch.compiler.is_compiling() or any(margins)  # a program serves all sizes
        return F.pad(x, margins, value=self.value) if pads else x


@MODULES.register("conv")
def conv(node: Node, channels: Sequence[int]) -> nn.Module:
    """A convolution with the norm and the activation that its options request."""
    dims, even = len(node.stride), any(k % 2 == 0 for k in node.kernel)
    groups, bias = int(node.option("groups")), bool(node.option("bias"))
    geometry = (channels[0], node.channels, node.kernel, node.stride)
    if even or bias:
        padding = (0,) * dims if even else tuple(k // 2 for k in node.kernel)
        layer: nn.Module = CONV[dims](*geometry, padding, groups=groups, bias=bias)
    else:
        layer = make_conv(*geometry, groups)
    parts = [Pad(node.kernel, node.stride), layer] if even else [layer]
    if node.option("norm"):
        scale = bool(node.option("scale"))
        parts.append(make_norm(node.norm, node.channels, dims, affine=scale))
        if not scale:
            parts.append(ChannelBias(node.channels, dims))
    if node.option("activate"):
        parts.append(activation_of(node, node.channels))
    return nn.Sequential(*parts) if len(parts) > 1 else layer


@MODULES.register("normalize")
def normalize(node: Node, channels: Sequence[int]) -> nn.Module:
    """A norm, then an activation."""
    return nn.Sequential(make_norm(node.norm, channels[0], len(node.stride)), activation_of(node, channels[0]))


@MODULES.register("activate")
class Activate(nn.Module):
    """An activation that does not change its input in place, because other nodes may read it."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        activation: Any = activation_of(node, channels[0])
        if hasattr(activation, "inplace"):
            activation.inplace = False
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation to x (B, C, *S)."""
        return self.activation(x)


@MODULES.register("window_max")
def window_max(node: Node, channels: Sequence[int]) -> nn.Module:
    """Maximum of each window."""
    pool = MAX_POOL[len(node.stride)]
    if all(k % 2 for k in node.kernel):
        return pool(node.kernel, node.stride, tuple(k // 2 for k in node.kernel))
    return nn.Sequential(Pad(node.kernel, node.stride, -torch.inf), pool(node.kernel, node.stride))


@MODULES.register("window_average")
class WindowAverage(nn.Module):
    """Mean of each window without the padding.

    The module pads by itself, because torch's pooling refuses inputs that are smaller than the window before padding.
    """

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.pad = Pad(node.kernel, node.stride)
        self.pool = AVERAGE_POOL[len(node.stride)](node.kernel, node.stride)

    def forward(self, x: Tensor) -> Tensor:
        """Average x (B, C, *S)."""
        padded = self.pad(x)
        if not torch.compiler.is_compiling() and padded.shape == x.shape:
            return self.pool(x)
        return self.pool(padded) / self.pool(self.pad(torch.ones_like(x[:1, :1])))


@MODULES.register("upsample")
def upsample(node: Node, channels: Sequence[int]) -> nn.Module:
    """Interpolation by the factor of the stride."""
    linear = node.option("mode") == "linear"
    mode = INTERPOLATION[len(node.stride)] if linear else "nearest"
    return nn.Upsample(scale_factor=node.stride, mode=mode, align_corners=False if linear else None)


@MODULES.register("crop")
class Crop(Stateless):
    """Crop the first tensor to the size of the second."""

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """Crop x (B, C, *S) at the far end of each axis to the size of `like` (B, K, *R)."""
        for axis in range(2, x.ndim):
            x = x.narrow(axis, 0, like.shape[axis])
        return x


@MODULES.register("channel_slice")
class ChannelSlice(nn.Module):
    """A range of channels."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.start, self.count = int(node.option("start")), node.channels

    def forward(self, x: Tensor) -> Tensor:
        """Select the channels of x (B, C, *S)."""
        return x.narrow(1, self.start, self.count)


@MODULES.register("channel_shuffle")
def channel_shuffle(node: Node, channels: Sequence[int]) -> nn.Module:
    """Interleave the channels of groups."""
    return nn.ChannelShuffle(int(node.option("groups")))


@MODULES.register("dense")
def dense(node: Node, channels: Sequence[int]) -> nn.Module:
    """Mean over the cells of a grid, dropout, linear layer and activation; returns (B, C, 1 ..)."""
    dims, grid = len(node.stride), int(node.option("grid"))
    return nn.Sequential(
        ADAPTIVE_POOL[dims](grid),
        nn.Flatten(),
        nn.Dropout(float(node.option("dropout"))),
        nn.Linear(channels[0] * prod([grid] * dims), node.channels),
        nn.Unflatten(1, (node.channels, *[1] * dims)),
        activation_of(node, node.channels),
    )
