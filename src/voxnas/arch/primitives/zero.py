"""The operation of cells that cuts an edge (Liu et al. 2019, DARTS, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


@primitive("zero")
class Zero(Primitive):
    """Zeros, whatever comes in; no gradient goes back."""

    sized = False
    constant = True

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """The zeros, which take memory."""
        yield Layer("move", node.channels, node.channels, ones(len(node.stride)), self.shape(node, inputs).size)
