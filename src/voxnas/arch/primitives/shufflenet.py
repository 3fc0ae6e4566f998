"""The unit of ShuffleNet (Zhang et al. 2018, CVPR, section 3.2)."""

from collections.abc import Iterator, Sequence
from math import gcd

from voxnas.arch.layers import Layer, divisor_up_to, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, primitive


def branch_channels(in_channels: int, node: Node) -> tuple[int, int]:
    """Channels inside the branch (a quarter of the output, at least two) and at its end, for `in_channels`."""
    wider = node.channels > in_channels
    return max(2, node.channels // 4), node.channels - in_channels if wider else node.channels


def shared_groups(in_channels: int, out_channels: int, node: Node) -> int:
    """Groups of a pointwise convolution: at most the option, dividing `in_channels` and `out_channels`.

    Each group has at least two input channels, for the norm undoes a pointwise convolution of one channel.
    """
    return divisor_up_to(gcd(in_channels, out_channels), min(int(node.option("groups")), in_channels // 2))


@primitive("shufflenet")
class ShuffleNet(Primitive):
    """Grouped pointwise convolution, shuffle of the channels, depthwise and grouped pointwise convolution, shortcut.

    The shortcut is the input, averaged over windows of 3 along strided axes. In the paper it is added at stride 1,
    where the channels agree, and concatenated with the branch at stride 2, where the channels grow. Here, for any
    channels and stride, it is added if the channels agree, concatenated if they grow, and left out if they shrink.
    """

    options = {"groups": 4}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Three convolutions with norms, the shuffle and the shortcut."""
        given, size, one = inputs[0].channels, self.shape(node, inputs).size, ones(len(node.stride))
        hidden, last = branch_channels(given, node)
        yield from conv_norm(given, hidden, one, inputs[0].size, shared_groups(given, hidden, node))
        yield Layer("move", hidden, hidden, one, inputs[0].size)
        yield from conv_norm(hidden, hidden, node.kernel, size, hidden)
        yield from conv_norm(hidden, last, one, size, shared_groups(hidden, last, node))
        if node.channels >= given:
            if node.stride != one:
                yield Layer("pool", given, given, tuple(3 if s > 1 else 1 for s in node.stride), size)
            yield Layer("move", node.channels, node.channels, one, size)
