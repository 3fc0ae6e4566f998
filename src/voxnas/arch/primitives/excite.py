"""Squeeze-and-excitation (Hu et al. 2018, CVPR, section 3).

The reduction is an option, 4 by default for tens of channels; in the paper it is 16, for hundreds. The hidden
activation is the activation of the node (paper: ReLU), for a dead unit among few is a large loss. After a block that
ends with an instance norm, the mean of a channel is the learnt shift of the norm, equal for all samples, unless a skip
is added after the norm.
"""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


def squeezed_channels(channels: int, reduction: int) -> int:
    """Channels of the bottleneck: `channels` divided by `reduction`, at least one."""
    return max(1, channels // reduction)


@primitive("excite")
class Excite(Primitive):
    """Scale each channel by a factor in (0, 1), computed from the means of all channels."""

    block = False
    multiplies = True
    options = {"reduction": 4}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Global pooling, two pointwise convolutions with biases, and the scaling."""
        size = inputs[0].size
        one = ones(len(size))
        hidden = squeezed_channels(node.channels, int(node.option("reduction")))
        yield Layer("pool", node.channels, node.channels, size, one)
        yield Layer("conv", node.channels, hidden, one, one, bias=True)
        yield Layer("conv", hidden, node.channels, one, one, bias=True)
        yield Layer("move", node.channels, node.channels, one, size)
