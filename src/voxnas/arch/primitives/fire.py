"""The Fire module of SqueezeNet (Iandola et al. 2016, arXiv 1602.07360, section 3.2)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, is_same, primitive


def squeezed_channels(node: Node) -> int:
    """Channels between squeeze and expansion: a share of the output channels.

    At least two, for the norm undoes a pointwise convolution of one channel.
    """
    return max(2, round(float(node.option("squeeze")) * node.channels))


@primitive("fire")
class Fire(Primitive):
    """Pointwise squeeze, then a pointwise and a full convolution in parallel, each for half of the output channels.

    The input is added where shapes agree (the simple bypass of the paper, section 6) unless `bypass` is off. Unlike in
    the paper, each convolution has a norm, and the expansion may have a stride.
    """

    options = {"bypass": True, "squeeze": 0.125}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Three convolutions with norms, and the concatenation."""
        size, one = self.shape(node, inputs).size, ones(len(node.stride))
        squeezed, half = squeezed_channels(node), node.channels // 2
        yield from conv_norm(inputs[0].channels, squeezed, one, inputs[0].size)
        yield from conv_norm(squeezed, half, one, size)
        yield from conv_norm(squeezed, node.channels - half, node.kernel, size)
        yield Layer("move", node.channels, node.channels, one, size)
        if node.option("bypass") and is_same(node, inputs):
            yield Layer("move", node.channels, node.channels, one, size)
