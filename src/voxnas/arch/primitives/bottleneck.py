"""The bottleneck of ResNet-50 (He et al. 2016, CVPR, section 4.1)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, primitive, shortcut


def inner_channels(channels: int, expansion: int) -> int:
    """Channels between the two pointwise convolutions: `channels` divided by `expansion`, at least one."""
    return max(1, channels // expansion)


@primitive("bottleneck")
class Bottleneck(Primitive):
    """Pointwise reduction to a quarter of the channels, convolution, pointwise expansion, and a skip.

    The convolution in the middle has the stride, as in common implementations; in the paper the first one has it.
    """

    options = {"expansion": 4}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Three convolutions with norms, and the skip."""
        size, pointwise = self.shape(node, inputs).size, ones(len(node.stride))
        inner = inner_channels(node.channels, int(node.option("expansion")))
        yield from conv_norm(inputs[0].channels, inner, pointwise, inputs[0].size)
        yield from conv_norm(inner, inner, node.kernel, size)
        yield from conv_norm(inner, node.channels, pointwise, size)
        yield from shortcut(node, inputs)
