"""The inverted bottleneck of MobileNetV2 (Sandler et al. 2018, CVPR, section 3.3)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, is_same, primitive


def hidden_channels(in_channels: int, out_channels: int, expansion: int) -> int:
    """Channels inside a block: `expansion` times the smaller of `in_channels` and `out_channels`.

    The paper multiplies the input channels. In a decoder the input is a concatenation, and its expansion would dominate
    the memory.
    """
    return expansion * min(in_channels, out_channels)


@primitive("inverted")
class Inverted(Primitive):
    """Pointwise expansion, depthwise convolution, linear pointwise projection, and a skip where shapes agree."""

    activated_sum = False
    options = {"expansion": 4}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Three convolutions with norms, and the skip."""
        size, pointwise = self.shape(node, inputs).size, ones(len(node.stride))
        hidden = hidden_channels(inputs[0].channels, node.channels, int(node.option("expansion")))
        yield from conv_norm(inputs[0].channels, hidden, pointwise, inputs[0].size)
        yield from conv_norm(hidden, hidden, node.kernel, size, hidden)
        yield from conv_norm(hidden, node.channels, pointwise, size)
        if is_same(node, inputs):
            yield Layer("move", node.channels, node.channels, pointwise, size)
