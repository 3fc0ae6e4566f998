"""Convolutions with a norm and an activation: plain, and two with a skip (He et al. 2016, CVPR)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer
from voxnas.arch.primitives.base import Free, Node, Shape, Skipping, conv_norm, primitive, shortcut


@primitive("plain")
class Plain(Free):
    """One convolution."""

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A convolution and its norm."""
        yield from conv_norm(inputs[0].channels, node.channels, node.kernel, self.shape(node, inputs).size)


@primitive("residual")
class Residual(Skipping):
    """Two convolutions and a skip."""

    stem = "residual"

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Two convolutions with norms, and the skip."""
        size = self.shape(node, inputs).size
        yield from conv_norm(inputs[0].channels, node.channels, node.kernel, size)
        yield from conv_norm(node.channels, node.channels, node.kernel, size)
        yield from shortcut(node, inputs)
