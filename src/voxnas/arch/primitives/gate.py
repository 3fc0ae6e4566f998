"""The additive attention gate of the Attention U-Net (Oktay et al. 2018, MIDL, section 2.2)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, primitive


@primitive("attention_gate")
class AttentionGate(Primitive):
    """Scale each voxel of a skip (first input) by a gate that the decoder (second input) computes.

    Both inputs are projected to half the channels of the skip, summed and reduced to one sigmoid. The decoder's signal
    already has the size of the skip; in the paper the skip is down-sampled to the decoder's size and the sigmoid
    up-sampled.
    """

    arity = 2
    block = False

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """The shape of the skip."""
        if inputs[0].size != inputs[1].size:
            raise ValueError(f"attention_gate of the sizes {[shape.size for shape in inputs]}")
        return Shape(node.channels, inputs[0].size, inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Three pointwise convolutions with norms, and the product."""
        size, inner = inputs[0].size, max(1, node.channels // 2)
        one = ones(len(size))
        for channels, outputs in ((inputs[0].channels, inner), (inputs[1].channels, inner), (inner, 1)):
            yield from conv_norm(channels, outputs, one, size)
        yield Layer("move", node.channels, node.channels, one, size)
