"""The residual block with pre-activation (He et al. 2016, ECCV, section 4.1, figure 4e).

Norm and activation precede each convolution, so that the skip stays an identity. As in the authors' code, a block that
changes the shape projects the activated input, without a norm. The norm and the activation after the last block of the
paper are left out, for a block does not know whether it is the last.
"""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Shape, Skipping, is_same, primitive


@primitive("preact")
class PreActivation(Skipping):
    """Norm, activation and convolution, twice, and a skip."""

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Two convolutions, each behind a norm, and the skip."""
        size, one = self.shape(node, inputs).size, ones(len(node.stride))
        given, channels = inputs[0].channels, node.channels
        yield Layer("norm", given, given, one, inputs[0].size)
        yield Layer("conv", given, channels, node.kernel, size)
        yield Layer("norm", channels, channels, one, size)
        yield Layer("conv", channels, channels, node.kernel, size)
        if not is_same(node, inputs):
            yield Layer("conv", given, channels, one, size)
        yield Layer("move", channels, channels, one, size)
