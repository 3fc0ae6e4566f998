"""Attention modules equal brute-force references."""

import itertools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from voxnas.arch.graph import GraphBuilder
from voxnas.arch.primitives.attention import heads_of
from voxnas.nn.ops.attention import AxialAttentionBlock, WindowAttentionBlock, from_windows, to_windows
from voxnas.nn.ops.local_attention import LocalAttentionBlock, neighbour_products, neighbour_sums


def node_of(op, channels, kernel=(3, 3, 3), **options):
    builder = GraphBuilder(channels, len(kernel))
    return builder.node(builder.add(op, builder.input, channels, kernel, options=options))


def full_attention(parts, heads, mask=None):
    """Attention between all voxels; parts (B, 3 C, *S)."""
    query, key, value = parts.flatten(2).unflatten(1, (3, heads, -1)).transpose(-1, -2).unbind(1)
    output = F.scaled_dot_product_attention(query, key, value, mask).transpose(-1, -2)
    return output.flatten(1, 2).unflatten(2, parts.shape[2:])


def test_joined_windows_are_the_volume():
    x = torch.arange(2 * 3 * 4 * 6 * 8.0).reshape(2, 3, 4, 6, 8)
    windows = to_windows(x, 2)
    assert windows.shape == (2, 2 * 3 * 4, 3, 8)
    assert torch.equal(windows[0, 1, 0].reshape(2, 2, 2), x[0, 0, :2, :2, 2:4])
    assert torch.equal(from_windows(windows, 2, (4, 6, 8)), x)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_one_window_is_full_attention(dims):
    torch.manual_seed(0)
    block = WindowAttentionBlock(node_of("window_attention", 16, (3,) * dims), [16])
    parts = torch.randn(2, 48, *(4,) * dims)
    torch.testing.assert_close(block.attend(parts), full_attention(parts, 2))


def test_a_window_across_the_border_attends_only_to_real_voxels():
    torch.manual_seed(0)
    block = WindowAttentionBlock(node_of("window_attention", 8), [8])
    parts = torch.randn(1, 24, 3, 2, 4)
    torch.testing.assert_close(block.attend(parts), full_attention(parts, 1))


def test_shifted_windows_are_offset_by_half_a_window():
    torch.manual_seed(0)
    block = WindowAttentionBlock(node_of("window_attention", 8, (3,), shifted=True), [8])
    parts = torch.randn(1, 24, 9)
    y = block.attend(parts)
    for part in (slice(0, 2), slice(2, 6), slice(6, 9)):
        torch.testing.assert_close(y[..., part], full_attention(parts[..., part], 1))


def test_the_position_bias_depends_only_on_the_offset():
    torch.manual_seed(0)
    block = WindowAttentionBlock(node_of("window_attention", 8, (3, 3)), [8])
    torch.nn.init.normal_(block.position)
    mask = block.position[:, block.places]
    bias = mask.reshape(4, 4, 4, 4)
    assert torch.equal(bias[0, 0, 1, 2], bias[2, 1, 3, 3])
    assert len(torch.unique(bias)) == 7 * 7
    parts = torch.randn(1, 24, 4, 4)
    torch.testing.assert_close(block.attend(parts), full_attention(parts, 1, mask))


def test_axial_attention_sees_the_whole_axis_and_no_other_line():
    torch.manual_seed(0)
    attend = AxialAttentionBlock(node_of("axial_attention", 16), [16]).axes[1]
    attend.merge = torch.nn.Identity()
    x = torch.randn(2, 16, 3, 5, 4)
    y, parts = attend(x), attend.project(x)
    for d, w in itertools.product(range(3), range(4)):
        torch.testing.assert_close(y[:, :, d, :, w], full_attention(parts[:, :, d, :, w], 2))


def brute_force(block, x):
    """Compute the block voxel by voxel and neighbour by neighbour."""
    heads = block.heads
    query = block.query(x).unflatten(1, (heads, -1))
    key, value = block.memory(x).unflatten(1, (2, heads, -1)).unbind(1)
    reach = [range(-(k // 2), k // 2 + 1) for k in block.kernel]
    y = torch.zeros_like(query)
    for place in itertools.product(*map(range, query.shape[3:])):
        scores, values = [], []
        for tap, offset in enumerate(itertools.product(*reach)):
            at = [p * s + o for p, s, o in zip(place, block.stride, offset, strict=True)]
            inside = all(0 <= a < n for a, n in zip(at, x.shape[2:], strict=True))
            q = query[(..., *place)]
            near = key[(..., *at)] if inside else torch.zeros_like(q)
            scores.append((q * near).sum(-1) * q.shape[-1] ** -0.5 + block.position[:, tap])
            values.append(value[(..., *at)] if inside else torch.zeros_like(q))
        weights = torch.stack(scores, -1).softmax(-1)
        y[(..., *place)] = (weights.unsqueeze(-2) * torch.stack(values, -1)).sum(-1)
    return block.activation(block.norm(y.flatten(1, 2)) + block.skip(x))


@pytest.mark.parametrize(("kernel", "stride"), [((3, 3, 3), (1, 1, 1)), ((1, 3, 5), (1, 2, 2)), ((3, 3, 3), (2, 2, 2))])
def test_local_attention_equals_brute_force(kernel, stride):
    torch.manual_seed(0)
    node = replace(node_of("local_attention", 16, kernel), stride=stride)
    block = LocalAttentionBlock(node, [16])
    torch.nn.init.normal_(block.position)
    x = torch.randn(2, 16, 3, 4, 5, requires_grad=True)
    ours, theirs = block(x), brute_force(block, x)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    inputs, weight = (x, *block.parameters()), torch.randn_like(ours)
    gradients = (torch.autograd.grad(output, inputs, weight) for output in (ours, theirs))
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)


def test_the_gradients_of_the_products_with_neighbours():
    torch.manual_seed(0)
    shapes = (1, 2, 3, 2, 3), (1, 2, 3, 5, 5), (1, 2, 9, 2, 3)
    query, key, weights = (torch.randn(shape).double().requires_grad_() for shape in shapes)
    assert torch.autograd.gradcheck(lambda q, k: neighbour_products(q, k, (3, 3), (2, 1)), (query, key))
    assert torch.autograd.gradcheck(lambda w, v: neighbour_sums(w, v, (3, 3), (2, 1)), (weights, key))


def test_heads_divide_the_channels():
    assert [heads_of(channels) for channels in (5, 8, 12, 16, 32, 36)] == [1, 1, 1, 2, 4, 4]
