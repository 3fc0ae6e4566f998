"""Module of stand-alone self-attention, :class:`voxnas.arch.primitives.attention.LocalAttention`.

Both products iterate over the neighbours and sum shifted tensors. On a CPU this is seven times faster than products of
gathered neighbours, and it avoids the memory of the gathered tensor (kernel^3 times that of the input).
"""

from collections.abc import Iterator, Sequence
from itertools import chain, product
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

from voxnas.arch.graph import Node
from voxnas.arch.primitives.attention import heads_of, neighbourhood
from voxnas.nn.ops.base import CONV, MODULES, make_activation, make_norm, make_shortcut
from voxnas.nn.ops.tiles import box_of


@MODULES.register("local_attention")
class LocalAttentionBlock(nn.Module):
    """Attention of each voxel to its neighbours in place of a convolution (Ramachandran et al. 2019)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        given, width, dims = channels[0], node.channels, len(node.stride)
        self.heads, self.kernel, self.stride = heads_of(width), neighbourhood(node), node.stride
        self.query = CONV[dims](given, width, 1, stride=node.stride, bias=False)
        self.memory = CONV[dims](given, 2 * width, 1, bias=False)
        self.position = nn.Parameter(torch.zeros(self.heads, prod(self.kernel)))
        self.norm = make_norm(node.norm, width, dims)
        self.skip = make_shortcut(node, given)
        self.activation = make_activation(node.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to x (B, C, *S)."""
        query = self.query(x).float().unflatten(1, (self.heads, -1))
        padding = tuple(chain.from_iterable((k // 2, k // 2) for k in reversed(self.kernel)))
        memory = F.pad(self.memory(x).float(), padding).unflatten(1, (2, self.heads, -1))
        key, value = memory.unbind(1)
        direct = torch.compiler.is_compiling()
        scores = (_products if direct else neighbour_products)(query, key, self.kernel, self.stride)
        position = self.position.reshape(1, self.heads, -1, *(1,) * len(self.stride))
        weights = (scores * query.shape[2] ** -0.5 + position).softmax(2)
        y = (_sums if direct else neighbour_sums)(weights, value, self.kernel, self.stride)
        return self.activation(self.norm(y.flatten(1, 2)) + self.skip(x))


def _views(padded: Tensor, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> Iterator[Tensor]:
    """Yield the view (B, heads, C, *size) of the padded tensor under each tap of the kernel."""
    for place in product(*map(range, kernel)):
        box = [slice(p, p + (n - 1) * s + 1, s) for p, n, s in zip(place, size, stride, strict=True)]
        yield box_of(padded, box)


def _products(query: Tensor, key: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Inner products with the neighbours: (B, heads, C, *S), padded (B, heads, C, *P) -> (B, heads, taps, *S)."""
    return torch.stack([(query * near).sum(2) for near in _views(key, query.shape[3:], kernel, stride)], 2)


def _sums(weights: Tensor, value: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Weighted sums of neighbours: (B, heads, taps, *S), padded (B, heads, C, *P) -> (B, heads, C, *S)."""
    total = None
    for tap, near in enumerate(_views(value, weights.shape[3:], kernel, stride)):
        weight = weights[:, :, tap : tap + 1]
        total = weight * near if total is None else total.addcmul_(weight, near)
    assert total is not None  # a kernel has at least one tap
    return total


def _spread(weights: Tensor, source: Tensor, like: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """The transpose of :func:`_sums`: add the weighted `source` to each neighbour."""
    total = torch.zeros_like(like)
    for tap, near in enumerate(_views(total, source.shape[3:], kernel, stride)):
        near.addcmul_(weights[:, :, tap : tap + 1], source)
    return total


@torch.library.custom_op("voxnas::neighbour_products", mutates_args=())
def neighbour_products(query: Tensor, key: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """:func:`_products` with a gradient of its own, which does not copy the neighbours."""
    return _products(query, key, kernel, stride)


@torch.library.custom_op("voxnas::neighbour_sums", mutates_args=())
def neighbour_sums(weights: Tensor, value: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """:func:`_sums` with a gradient of its own."""
    return _sums(weights, value, kernel, stride)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    first, second, ctx.kernel, ctx.stride = inputs
    ctx.save_for_backward(first, second)


def _products_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    query, key = ctx.saved_tensors
    return _sums(grad, key, ctx.kernel, ctx.stride), _spread(grad, query, key, ctx.kernel, ctx.stride), None, None


def _sums_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    weights, value = ctx.saved_tensors
    geometry = ctx.kernel, ctx.stride
    return _products(grad, value, *geometry), _spread(weights, grad, value, *geometry), None, None


neighbour_products.register_autograd(_products_backward, setup_context=_keep)
neighbour_sums.register_autograd(_sums_backward, setup_context=_keep)


@register_flop_formula(torch.ops.voxnas.neighbour_products)
def _count_products(query: Sequence[int], key: Sequence[int], kernel: Any, *rest: Any, **more: Any) -> int:
    return 2 * prod(query) * prod(kernel)


@register_flop_formula(torch.ops.voxnas.neighbour_sums)
def _count_sums(weights: Sequence[int], value: Sequence[int], *rest: Any, **more: Any) -> int:
    return 2 * prod(weights) * value[2]
