"""Pairs: the upper triangle of a symmetric matrix as one vector."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


def count_pairs(regions: int) -> int:
    """Number of unordered pairs of different `regions`."""
    return regions * (regions - 1) // 2


@primitive("pairs")
class Pairs(Primitive):
    """The values above the diagonal of the matrix on the last two axes, minus their means over the training scans.

    These are the features of the linear models of connectivity (Dadi et al. 2019, NeuroImage). The mean over brains
    makes up most of a correlation matrix; without the subtraction the first gradient steps would fit the mean alone.
    """

    dims = (2, 3)
    block = False

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse a number of channels that is no number of pairs."""
        if dims not in self.dims:
            raise ValueError(f"{self.name} is not defined in {dims} dimensions")
        regions = int((2 * node.channels / given[0]) ** 0.5) + 1
        if node.channels != given[0] * count_pairs(regions):
            raise ValueError(f"pairs of {given[0]} channels never give {node.channels}")

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """One place with a channel for each pair."""
        *lead, rows, columns = inputs[0].size
        if rows != columns or any(n > 1 for n in lead) or node.channels != inputs[0].channels * count_pairs(rows):
            raise ValueError(f"pairs of a map of size {inputs[0].size} do not give {node.channels} channels")
        return Shape(node.channels, ones(len(inputs[0].size)), inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A move."""
        one = ones(len(inputs[0].size))
        yield Layer("move", node.channels, node.channels, one, one)
