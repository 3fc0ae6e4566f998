"""The Ghost module (Han et al. 2020, CVPR, section 3.1) in place of a convolution.

A convolution computes one part of the channels, and a depthwise convolution of this part computes the others, with norm
and activation as in the authors' code. The depthwise kernel is 3 as in the paper, but 1 along an axis where the kernel
of the node is 1 and greater along another. If the ratio does not divide the channels, the authors' code computes
surplus channels and cuts them off; here no surplus is computed.
"""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, Size, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, primitive


def ghost_channels(node: Node) -> tuple[int, int]:
    """Number of channels from the convolution, and number of channels from the depthwise convolution."""
    convolved = -(-node.channels // int(node.option("ratio")))
    return convolved, node.channels - convolved


def cheap_kernel(node: Node) -> Size:
    """Kernel of the depthwise convolution: 3 after a pointwise convolution, otherwise at most 3 along each axis."""
    if max(node.kernel) == 1:
        return (3,) * len(node.kernel)
    return tuple(min(k, 3) for k in node.kernel)


@primitive("ghost")
class Ghost(Primitive):
    """A convolution to one `ratio`-th of the channels, and a depthwise convolution for the others."""

    options = {"ratio": 2}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Two convolutions with norms, and a concatenation."""
        size, (convolved, made) = self.shape(node, inputs).size, ghost_channels(node)
        yield from conv_norm(inputs[0].channels, convolved, node.kernel, size)
        if made:
            yield from conv_norm(made, made, cheap_kernel(node), size, made)
            yield Layer("move", node.channels, node.channels, ones(len(size)), size)
