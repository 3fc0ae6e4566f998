"""Squeeze-and-excitation (Hu et al. 2018, CVPR, section 3).

The paper has a reduction of 16, for hundreds of channels; here it is an option, 4 by default, for tens. The
hidden activation is the node's, a ReLU in the paper: one of few hidden units must not die. Behind a block that ends
with an instance norm the mean is what the norm has learnt, the same for each sample, unless a skip is added after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


def squeezed_channels(channels: int, reduction: int) -> int:
    """Channels of the bottleneck: `channels` divided by `reduction`, at least one."""
    return max(1, channels // reduction)


@primitive("excite")
class Excite(Primitive):
    """Scales each channel by a number in (0, 1) that the means of all channels decide."""

    block = False
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
