"""Pooling: windows that do not overlap, the whole volume, and a grid of places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


class _Pool(Primitive):
    """Windows as large as the stride; what does not fill a window at the border is left out."""

    block = False

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """The input's size, divided."""
        size = tuple(max(1, n // s) for n, s in zip(inputs[0].size, node.stride, strict=True))
        return Shape(node.channels, size, inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One pooling layer."""
        yield Layer("pool", node.channels, node.channels, node.stride, self.shape(node, inputs).size)


@primitive("max_pool")
class MaxPool(_Pool):
    """Largest value of each window."""

    keeps_positions = True


@primitive("average_pool")
class AveragePool(_Pool):
    """Mean of each window."""


@primitive("global_pool")
class GlobalPool(Primitive):
    """Mean over the volume: one vector a sample."""

    block = False

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """One place."""
        return Shape(node.channels, ones(len(inputs[0].size)), inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One pooling layer."""
        size = inputs[0].size
        yield Layer("pool", node.channels, node.channels, size, ones(len(size)))


@primitive("grid_pool")
class GridPool(Primitive):
    """Means over a grid of places, as many along each axis as the kernel says; each place has channels of its own.

    What a global mean forgets, where something is, stays: in brains that lie on one grid, a place is the same place
    in all of them.
    """

    block = False

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse channels that are not those of the input at every place."""
        if node.channels != given[0] * prod(node.kernel):
            raise ValueError(f"grid_pool of {given[0]} channels at {node.kernel} places does not give {node.channels}")

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """One place, of all channels."""
        return Shape(node.channels, ones(len(inputs[0].size)), inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One pooling layer."""
        given = inputs[0]
        window = tuple(-(-n // k) for n, k in zip(given.size, node.kernel, strict=True))
        yield Layer("pool", given.channels, given.channels, window, node.kernel)
