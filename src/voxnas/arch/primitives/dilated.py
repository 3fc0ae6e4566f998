"""A convolution whose taps are apart (Yu and Koltun 2016, ICLR, section 2): a wider field for the same cost.

Unlike in the paper, whose dilation grows from layer to layer, all blocks have that of the option.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, primitive


@primitive("dilated")
class Dilated(Primitive):
    """One convolution with every `dilation`-th voxel under its kernel."""

    options = {"dilation": 2}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A convolution and its norm."""
        yield from conv_norm(inputs[0].channels, node.channels, node.kernel, self.shape(node, inputs).size)
