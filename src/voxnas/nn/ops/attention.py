"""Modules of window attention and axial attention (:mod:`voxnas.arch.primitives.attention`)."""

from collections.abc import Sequence
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import Size
from voxnas.arch.primitives.attention import heads_of, window_padding
from voxnas.nn.ops.base import CONV, MODULES, make_activation, make_norm, make_shortcut, pointwise
from voxnas.nn.ops.tiles import box_of


def to_windows(x: Tensor, window: int) -> Tensor:
    """Cut x (B, C, *S), S divisible by the window, into (B, windows, C, voxels of a window)."""
    dims = x.ndim - 2
    for axis in range(dims):
        x = x.unflatten(2 + 2 * axis, (-1, window))
    grid, inside = range(2, 2 + 2 * dims, 2), range(3, 3 + 2 * dims, 2)
    return x.permute(0, *grid, 1, *inside).flatten(2 + dims).flatten(1, dims)


def from_windows(x: Tensor, window: int, size: Size) -> Tensor:
    """Join the windows of x (B, windows, C, voxels of a window) into (B, C, *size)."""
    dims = len(size)
    x = x.unflatten(1, tuple(n // window for n in size)).unflatten(-1, (window,) * dims)
    pairs = chain.from_iterable((1 + axis, 2 + dims + axis) for axis in range(dims))
    x = x.permute(0, 1 + dims, *pairs)
    for axis in range(dims):
        x = x.flatten(2 + axis, 3 + axis)
    return x


def relative_positions(window: int, dims: int) -> Tensor:
    """Index of the offset between each pair of voxels of a window, (voxels, voxels), in [0, (2 window - 1)^dims)."""
    positions = torch.cartesian_prod(*[torch.arange(window)] * dims).reshape(-1, dims)
    offsets = positions[:, None] - positions[None] + window - 1
    scale = torch.tensor([(2 * window - 1) ** (dims - 1 - axis) for axis in range(dims)])
    return (offsets * scale).sum(-1)


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """Attention of query, key and value (.., C, tokens) with a bias (.., tokens, tokens), in the query's precision.

    With few channels and many short sequences the explicit products are several times faster on a CPU than PyTorch's
    fused attention, especially in training with bfloat16.
    """
    scores = (query * query.shape[-2] ** -0.5).transpose(-1, -2) @ key
    if bias is not None:
        scores = scores.add_(bias.to(scores.dtype))
    return value @ scores.softmax(-1, dtype=scores.dtype).transpose(-1, -2)


@MODULES.register("window_attention")
class WindowAttentionBlock(nn.Module):
    """Attention within windows, then a perceptron, each with a preceding norm and a skip (Liu et al. 2021)."""

    places: Tensor

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        width, dims = node.channels, len(node.stride)
        hidden, conv = int(node.option("widening")) * width, CONV[dims]
        self.window, self.shifted = int(node.option("window")), bool(node.option("shifted"))
        self.heads = heads_of(width)
        self.enter = make_shortcut(node, channels[0])
        self.norm = make_norm(node.norm, width, dims)
        self.project = conv(width, 3 * width, 1, bias=False)
        self.position = nn.Parameter(torch.zeros(self.heads, (2 * self.window - 1) ** dims))
        self.register_buffer("places", relative_positions(self.window, dims), persistent=False)
        self.merge = conv(width, width, 1)
        self.perceptron = nn.Sequential(
            make_norm(node.norm, width, dims),
            conv(width, hidden, 1),
            make_activation(node.activation),
            conv(hidden, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to x (B, C, *S)."""
        x = self.enter(x)
        x = x + self.merge(self.attend(self.project(self.norm(x))))
        return x + self.perceptron(x)

    def attend(self, x: Tensor) -> Tensor:
        """Attend within windows; x (B, 3 C, *S) holds queries, keys and values."""
        size = tuple(x.shape[2:])
        padding = window_padding(size, self.window, self.shifted)
        flat = tuple(chain.from_iterable(reversed(padding)))  # F.pad begins with the last axis
        bias = self.position[:, self.places]  # (heads, voxels, voxels)
        if torch.compiler.is_compiling() or any(flat):  # a program serves all sizes
            real = to_windows(F.pad(x.new_ones(1, 1, *size), flat), self.window) > 0  # (1, windows, 1, voxels)
            bias = bias + torch.where(real, 0.0, -torch.inf).unsqueeze(2)
            x = F.pad(x, flat)
        query, key, value = to_windows(x, self.window).unflatten(2, (3, self.heads, -1)).unbind(2)
        y = from_windows(attention(query, key, value, bias).flatten(2, 3), self.window, tuple(x.shape[2:]))
        return box_of(y, [slice(before, before + n) for n, (before, _) in zip(size, padding, strict=True)])


class _AlongAxis(nn.Module):
    """Attention along one axis, then a norm."""

    def __init__(self, node: Node, axis: int) -> None:
        super().__init__()
        self.axis, self.heads = 2 + axis, heads_of(node.channels)
        self.project = CONV[len(node.stride)](node.channels, 3 * node.channels, 1, bias=False)
        self.merge = pointwise(node.channels, node.channels, node, activation=False)

    def forward(self, x: Tensor) -> Tensor:
        lines = self.project(x).movedim(self.axis, -1)  # (B, 3 C, *others, length)
        others = lines.shape[2:-1]
        lines = lines.flatten(2, -2) if others else lines.unsqueeze(2)
        parts = lines.movedim(2, 1).unflatten(2, (3, self.heads, -1))
        y = attention(*parts.unbind(2)).flatten(2, 3).movedim(1, 2)
        y = y.unflatten(2, others) if others else y.squeeze(2)
        return self.merge(y.movedim(-1, self.axis))


@MODULES.register("axial_attention")
class AxialAttentionBlock(nn.Module):
    """Attention along each axis in turn, each with a skip (Ho et al. 2019; Wang et al. 2020)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.enter = make_shortcut(node, channels[0])
        self.axes = nn.ModuleList(_AlongAxis(node, axis) for axis in range(len(node.stride)))
        self.activation = make_activation(node.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to x (B, C, *S)."""
        x = self.enter(x)
        for attend in self.axes:
            x = x + attend(x)
        return self.activation(x)
