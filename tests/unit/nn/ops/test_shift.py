"""Shift moves each group of channels by its offset."""

import itertools

import pytest
import torch

from voxnas.arch.graph import GraphBuilder
from voxnas.arch.primitives.shift import channel_groups, offsets
from voxnas.nn.ops.shift import ShiftBlock, plan_moves, shift


def node_of(channels, kernel=(3, 3, 3), stride=(1, 1, 1), **options):
    builder = GraphBuilder(channels, len(kernel))
    return builder.node(builder.add("shift", builder.input, channels, kernel, stride, options=options))


def reference(x, moves, stride):
    """Shift voxel by voxel."""
    size = [-(-n // s) for n, s in zip(x.shape[2:], stride, strict=True)]
    y = torch.zeros(*x.shape[:2], *size)
    for first, last, offset in moves:
        for place in itertools.product(*map(range, size)):
            source = [p * s + o for p, s, o in zip(place, stride, offset, strict=True)]
            if all(0 <= at < n for at, n in zip(source, x.shape[2:], strict=True)):
                y[(slice(None), slice(first, last), *place)] = x[(slice(None), slice(first, last), *source)]
    return y


@pytest.mark.parametrize("diagonals", [False, True])
@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 2, 2), (1, 2, 3)])
@pytest.mark.parametrize("size", [(4, 5, 3), (1, 2, 6)])
def test_each_voxel_comes_from_its_offset(diagonals, stride, size):
    torch.manual_seed(0)
    moves = plan_moves(node_of(29, diagonals=diagonals), 29)
    x = torch.randn(2, 29, *size, requires_grad=True)
    y, expected = shift(x, moves, stride), reference(x, moves, stride)
    assert torch.equal(y, expected)
    weight = torch.randn_like(y)
    (ours,) = torch.autograd.grad(y, x, weight)
    (theirs,) = torch.autograd.grad(expected, x, weight)
    assert torch.equal(ours, theirs)


def test_directions_are_the_faces_or_all_neighbours():
    assert [len(offsets(dims, False)) for dims in (1, 2, 3)] == [3, 5, 7]
    assert [len(offsets(dims, True)) for dims in (1, 2, 3)] == [3, 9, 27]
    assert offsets(3, True)[0] == (0, 0, 0)


def test_groups_share_the_channels_evenly():
    for channels, count in ((16, 7), (5, 7), (64, 27)):
        groups = channel_groups(channels, count)
        sizes = [last - first for first, last in groups]
        assert sum(sizes) == channels and max(sizes) - min(sizes) <= 1 and len(groups) == count


def test_an_axis_with_a_kernel_of_one_is_not_shifted():
    moves = plan_moves(node_of(16, kernel=(1, 3, 3)), 16)
    assert {offset[0] for _, _, offset in moves} == {0} and len(moves) == 5


def test_an_exported_block_is_equal():
    block = ShiftBlock(node_of(9, stride=(2, 1, 2)), [9]).eval()
    x = torch.randn(1, 9, 5, 6, 7)
    torch.testing.assert_close(torch.export.export(block, (x,)).module()(x), block(x))
