"""Pooling over windows that do not overlap, over the whole volume, and to a grid."""

from collections.abc import Iterator, Sequence
from math import prod

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Follows, Node, Primitive, Shape, primitive


class _Pool(Follows):
    """Pooling over windows as large as the stride; incomplete windows at the border are discarded."""

    block = False

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """The size of the input, divided by the stride."""
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
class GlobalPool(Follows):
    """Mean over the volume: one vector per sample."""

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
    """Means over a grid with as many places along each axis as the kernel states; each place has its own channels.

    Unlike a global mean this keeps the location: in brains registered to one space, a place of the grid is the same
    anatomical location in all brains.
    """

    block = False

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse channels that are not the channels of the input times the places of the grid."""
        if node.channels != given[0] * prod(node.kernel):
            raise ValueError(f"grid_pool of {given[0]} channels at {node.kernel} places does not give {node.channels}")

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """One place with the channels of all places of the grid."""
        return Shape(node.channels, ones(len(inputs[0].size)), inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One pooling layer."""
        given = inputs[0]
        window = tuple(-(-n // k) for n, k in zip(given.size, node.kernel, strict=True))
        yield Layer("pool", given.channels, given.channels, window, node.kernel)
