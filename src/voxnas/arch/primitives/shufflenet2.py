"""The unit of ShuffleNet V2 (Ma et al. 2018, ECCV, section 3)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, is_same, primitive


@primitive("shufflenet2")
class ShuffleNet2(Primitive):
    """Two halves of the channels, interleaved at the end; where shapes agree, the first half is the input itself.

    If the unit has a stride, or changes the channels (in the paper only together with a stride), both branches read the
    whole input and each computes a half. The second half of an odd number of channels has one more.
    """

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Three or five convolutions with norms, and the shuffle."""
        given, size, one = inputs[0].channels, self.shape(node, inputs).size, ones(len(node.stride))
        first, second = node.channels // 2, node.channels - node.channels // 2
        source = second if is_same(node, inputs) else given
        if not is_same(node, inputs):
            yield from conv_norm(given, given, node.kernel, size, given)
            yield from conv_norm(given, first, one, size)
        yield from conv_norm(source, second, one, inputs[0].size)
        yield from conv_norm(second, second, node.kernel, size, second)
        yield from conv_norm(second, second, one, size)
        yield Layer("move", node.channels, node.channels, one, size)
