"""The additive attention gate of the Attention U-Net (Oktay et al. 2018, MIDL, section 2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


@primitive("attention_gate")
class AttentionGate(Primitive):
    """Scales a skip (first input) at each voxel by what the decoder (second input) makes of it.

    Both are projected to half the skip's channels, summed and reduced to one sigmoid. The decoder's
    signal has the skip's size already; in the paper the skip comes down to the decoder's size and
    the sigmoid up again.
    """

    arity = 2
    block = False

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """The skip's shape."""
        if inputs[0].size != inputs[1].size:
            raise ValueError(f"attention_gate of the sizes {[shape.size for shape in inputs]}")
        return Shape(node.channels, inputs[0].size, inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Three pointwise convolutions with norms, and the product."""
        size, inner = inputs[0].size, max(1, node.channels // 2)
        one = ones(len(size))
        for channels, outputs in ((inputs[0].channels, inner), (inputs[1].channels, inner), (inner, 1)):
            yield Layer("conv", channels, outputs, one, size)
            yield Layer("norm", outputs, outputs, one, size)
        yield Layer("move", node.channels, node.channels, one, size)
