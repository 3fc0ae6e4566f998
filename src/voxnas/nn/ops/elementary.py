"""Modules of :mod:`voxnas.arch.primitives.elementary`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import Size
from voxnas.nn.ops.base import (
    ADAPTIVE_POOL,
    AVERAGE_POOL,
    CONV,
    MAX_POOL,
    MODULES,
    make_activation,
    make_conv,
    make_norm,
)

INTERPOLATION = {1: "linear", 2: "bilinear", 3: "trilinear"}


def activation_of(node: Node, channels: int) -> nn.Module:
    """The activation of a node; a PReLU has one slope for each channel."""
    return nn.PReLU(channels) if node.activation == "prelu" else make_activation(node.activation)


class ChannelBias(nn.Module):
    """Adds a learnt number to each of some channels of a tensor with `dims` spatial dimensions."""

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels, *[1] * dims))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add to x (B, C, *S)."""
        return x + self.shift


class Pad(nn.Module):
    """A margin with which windows give ceil(size / stride): at both ends, under an even kernel at the far one.

    Parameters
    ----------
    kernel, stride : tuple of int
        Of the windows; an even kernel is the stride.
    value : float
        Of the margin.
    """

    def __init__(self, kernel: Size, stride: Size, value: float = 0.0) -> None:
        super().__init__()
        self.windows = tuple(zip(kernel, stride, strict=True))
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad x (B, C, *S)."""
        ends = [(k // 2, k // 2) if k % 2 else (0, -n % s) for n, (k, s) in zip(x.shape[2:], self.windows, strict=True)]
        margins = [width for pair in reversed(ends) for width in pair]
        return F.pad(x, margins, value=self.value) if any(margins) else x


@MODULES.register("conv")
def conv(node: Node, channels: Sequence[int]) -> nn.Module:
    """A convolution with the norm and the activation that its options ask for."""
    dims, even = len(node.stride), any(k % 2 == 0 for k in node.kernel)
    groups, bias = int(node.option("groups")), bool(node.option("bias"))
    if even or bias:
        padding = (0,) * dims if even else tuple(k // 2 for k in node.kernel)
        build = CONV[dims]
        layer: nn.Module = build(
            channels[0], node.channels, node.kernel, node.stride, padding, groups=groups, bias=bias
        )
    else:
        layer = make_conv(channels[0], node.channels, node.kernel, node.stride, groups)
    parts: list[nn.Module] = [layer]
    if even:
        parts.insert(0, Pad(node.kernel, node.stride))
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
    """A norm and an activation."""
    return nn.Sequential(make_norm(node.norm, channels[0], len(node.stride)), activation_of(node, channels[0]))


@MODULES.register("activate")
class Activate(nn.Module):
    """An activation that leaves its input as it is, for other nodes may need it."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        activation: Any = activation_of(node, channels[0])
        if hasattr(activation, "inplace"):
            activation.inplace = False
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to x (B, C, *S)."""
        return self.activation(x)


@MODULES.register("window_max")
def window_max(node: Node, channels: Sequence[int]) -> nn.Module:
    """Largest value of each window."""
    pool = MAX_POOL[len(node.stride)]
    if all(k % 2 for k in node.kernel):
        return pool(node.kernel, node.stride, tuple(k // 2 for k in node.kernel))
    return nn.Sequential(Pad(node.kernel, node.stride, -torch.inf), pool(node.kernel, node.stride))


@MODULES.register("window_average")
class WindowAverage(nn.Module):
    """Mean of each window's own values.

    Padded here, for torch's pooling refuses an input that is smaller than the window before padding.
    """

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.pad = Pad(node.kernel, node.stride)
        self.pool = AVERAGE_POOL[len(node.stride)](node.kernel, node.stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Average x (B, C, *S)."""
        padded = self.pad(x)
        if padded.shape == x.shape:
            return self.pool(x)
        return self.pool(padded) / self.pool(self.pad(torch.ones_like(x[:1, :1])))


@MODULES.register("upsample")
def upsample(node: Node, channels: Sequence[int]) -> nn.Module:
    """Interpolation by the stride."""
    linear = node.option("mode") == "linear"
    mode = INTERPOLATION[len(node.stride)] if linear else "nearest"
    return nn.Upsample(scale_factor=node.stride, mode=mode, align_corners=False if linear else None)


@MODULES.register("crop")
class Crop(nn.Module):
    """The first tensor cut to the size of the second."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Cut x (B, C, *S) at the far end of each axis."""
        for axis in range(2, x.ndim):
            x = x.narrow(axis, 0, like.shape[axis])
        return x


@MODULES.register("channel_slice")
class ChannelSlice(nn.Module):
    """Some channels."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.start, self.count = int(node.option("start")), node.channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take them from x (B, C, *S)."""
        return x.narrow(1, self.start, self.count)


@MODULES.register("channel_shuffle")
def channel_shuffle(node: Node, channels: Sequence[int]) -> nn.Module:
    """Interleaves the channels of groups."""
    return Shuffle(int(node.option("groups")))


class Shuffle(nn.Module):
    """Interleaves the channels of `groups` groups."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shuffle x (B, C, *S)."""
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


@MODULES.register("dense")
def dense(node: Node, channels: Sequence[int]) -> nn.Module:
    """Mean over a grid, dropout, linear layer, activation; gives (B, C, 1 ..)."""
    dims, grid = len(node.stride), int(node.option("grid"))
    return nn.Sequential(
        ADAPTIVE_POOL[dims](grid),
        nn.Flatten(),
        nn.Dropout(float(node.option("dropout"))),
        nn.Linear(channels[0] * prod([grid] * dims), node.channels),
        nn.Unflatten(1, (node.channels, *[1] * dims)),
        activation_of(node, node.channels),
    )
