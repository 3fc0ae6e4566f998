"""Module of :mod:`voxnas.arch.primitives.shift`."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import Size, strided
from voxnas.arch.primitives.shift import channel_groups, offsets
from voxnas.nn.ops.base import MODULES, keeps_shape, make_activation, pointwise

Moves = tuple[tuple[int, int, Size], ...]
"""First and last channel of each group, and the offset of the source voxels."""


@MODULES.register("shift")
class ShiftBlock(nn.Module):
    """Shift of groups of channels by one voxel, then a pointwise convolution (Wu et al. 2018)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.stride, self.moves = node.stride, plan_moves(node, channels[0])
        self.mix = pointwise(channels[0], node.channels, node, activation=False)
        self.activation = make_activation(node.activation)
        self.residual = keeps_shape(node, channels[0])

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to x (B, C, *S)."""
        y = self.mix(shift(x, self.moves, self.stride))
        return self.activation(x + y if self.residual else y)


def plan_moves(node: Node, channels: int) -> Moves:
    """Assign the `channels` of a node to offsets; axes with a kernel of 1 are not shifted."""
    kernel = node.kernel if max(node.kernel) > 1 else (3,) * len(node.kernel)
    near = [
        offset
        for offset in offsets(len(kernel), bool(node.option("diagonals")))
        if all(k > 1 or o == 0 for k, o in zip(kernel, offset, strict=True))
    ]
    groups = channel_groups(channels, len(near))
    return tuple((first, last, offset) for (first, last), offset in zip(groups, near, strict=True) if last > first)


def shift(x: Tensor, moves: Moves, stride: Size) -> Tensor:
    """Shift each group of channels of x (B, C, *S) by its offset.

    Parameters
    ----------
    x : Tensor, (B, C, *S)
        Values beyond the border are 0.
    moves : tuple
        From :func:`plan_moves`.
    stride : tuple of int
        Step between the voxels that are kept.
    """
    if torch.compiler.is_compiling():
        padded = F.pad(x, (1, 1) * len(stride))
        size = strided(tuple(x.shape[2:]), stride)
        parts = [
            padded[(slice(None), slice(first, last), *_every(1, offset, stride, size))] for first, last, offset in moves
        ]
        return torch.cat(parts, 1)
    return _Shift.apply(x, moves, stride)


def _every(base: int, offset: Size, stride: Size, size: Size) -> tuple[slice, ...]:
    return tuple(slice(base + o, base + o + (n - 1) * s + 1, s) for o, s, n in zip(offset, stride, size, strict=True))


def _pair(offset: Size, stride: Size, size: Size, given: Size) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the output voxels that have a source, and of their sources."""
    to, at = [], []
    for o, s, n, length in zip(offset, stride, size, given, strict=True):
        first = 1 if o < 0 else 0
        last = min(n, (length - 1 - o) // s + 1)
        to.append(slice(first, max(first, last)))
        at.append(slice(first * s + o, max(first * s + o, (last - 1) * s + o + 1), s))
    return tuple(to), tuple(at)


class _Shift(torch.autograd.Function):
    """Shift by copies that clear the borders alone; the backward pass reverses the copies."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, moves: Moves, stride: Size) -> Tensor:
        ctx.moves, ctx.stride, ctx.given = moves, stride, x.shape
        given = tuple(x.shape[2:])
        size = strided(given, stride)
        output = x.new_empty((*x.shape[:2], *size))
        for first, last, offset in moves:
            to, at = _pair(offset, stride, size, given)
            _clear_outside(output[:, first:last], to)
            output[(slice(None), slice(first, last), *to)] = x[(slice(None), slice(first, last), *at)]
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        given, size = tuple(ctx.given[2:]), tuple(grad.shape[2:])
        back = grad.new_empty(ctx.given) if max(ctx.stride) == 1 else grad.new_zeros(ctx.given)
        for first, last, offset in ctx.moves:
            to, at = _pair(offset, ctx.stride, size, given)
            if max(ctx.stride) == 1:
                _clear_outside(back[:, first:last], at)
            back[(slice(None), slice(first, last), *at)] = grad[(slice(None), slice(first, last), *to)]
        return back, None, None


def _clear_outside(x: Tensor, inside: tuple[slice, ...]) -> None:
    """Set x (B, C, *S) to 0 outside a box."""
    for axis, part in enumerate(inside, start=2):
        x.narrow(axis, 0, part.start).zero_()
        x.narrow(axis, part.stop, x.shape[axis] - part.stop).zero_()
