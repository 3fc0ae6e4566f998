"""The zero operation of cells, which removes an edge (Liu et al. 2019, DARTS, section 3.1)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


@primitive("zero")
class Zero(Primitive):
    """Zeros for any input; the gradient is zero too."""

    sized = False
    constant = True

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A move, for the zeros take memory."""
        yield Layer("move", node.channels, node.channels, ones(len(node.stride)), self.shape(node, inputs).size)
