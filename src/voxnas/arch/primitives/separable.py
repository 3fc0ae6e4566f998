"""The depthwise-separable convolution of MobileNet (Howard et al. 2017, section 3.1)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Free, Node, Shape, conv_norm, primitive


@primitive("separable")
class Separable(Free):
    """A depthwise convolution, then a pointwise convolution, each with norm and activation."""

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Two convolutions with norms."""
        size, channels = self.shape(node, inputs).size, inputs[0].channels
        yield from conv_norm(channels, channels, node.kernel, size, channels)
        yield from conv_norm(channels, node.channels, ones(len(size)), size)
