"""The Ghost module (Han et al. 2020, CVPR, section 3.1) in place of a convolution.

One part of the channels is convolved, the others are made of those by a depthwise convolution, which has norm and
activation too, as in the authors' code. Its kernel is the paper's 3, except along an axis where the node's is 1 while
it is more along another. No channels are made and then cut off, as in that code where the ratio does not divide them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, Size, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, primitive


def ghost_channels(node: Node) -> tuple[int, int]:
    """How many channels are convolved, and how many are made of them."""
    convolved = -(-node.channels // int(node.option("ratio")))
    return convolved, node.channels - convolved


def cheap_kernel(node: Node) -> Size:
    """Kernel of the depthwise convolution, which alone looks around behind a pointwise convolution."""
    if max(node.kernel) == 1:
        return (3,) * len(node.kernel)
    return tuple(min(k, 3) for k in node.kernel)


@primitive("ghost")
class Ghost(Primitive):
    """A convolution to one `ratio`-th of the channels, and cheap copies of them."""

    options = {"ratio": 2}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Two convolutions with norms, and a concatenation."""
        size, (convolved, made) = self.shape(node, inputs).size, ghost_channels(node)
        yield from conv_norm(inputs[0].channels, convolved, node.kernel, size)
        if made:
            yield from conv_norm(made, made, cheap_kernel(node), size, made)
            yield Layer("move", node.channels, node.channels, ones(len(size)), size)
