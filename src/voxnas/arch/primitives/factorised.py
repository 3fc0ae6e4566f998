"""A factorised convolution: one within slices, then one across slices.

In three dimensions 1x3x3 and then 3x1x1, each with norm and activation: P3D-A (Qiu et al. 2017, ICCV, section 3.2) and
R(2+1)D (Tran et al. 2018, CVPR, section 3.5); slices lie along the first axis, which is time in the papers. In two
dimensions 1x3 and 3x1 (Szegedy et al. 2016, CVPR, section 3.2). With `matched` the channels between the two
convolutions are chosen so that both have the parameters of the whole convolution, as in R(2+1)D; otherwise they are
the output channels. The stride is factorised like the kernel. A kernel with only one of the two factors stays whole.
"""

from collections.abc import Iterator, Sequence
from math import prod

from voxnas.arch.layers import Layer, Size, strided
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, primitive


def middle_channels(node: Node, in_channels: int) -> int | None:
    """Channels between the two convolutions of a node on `in_channels`; None if the kernel stays whole."""
    across, within = node.kernel[0], prod(node.kernel[1:])
    if across == 1 or within == 1:
        return None
    if not node.option("matched"):
        return node.channels
    whole = across * within * in_channels * node.channels
    return max(1, whole // (within * in_channels + across * node.channels))


def split(size: Size) -> tuple[Size, Size]:
    """Factorise a kernel or a stride (`size`): its parts within slices and across slices."""
    return (1, *size[1:]), (size[0], *(1,) * (len(size) - 1))


@primitive("factorised")
class Factorised(Primitive):
    """Two convolutions, the first within slices and the second across slices."""

    dims = (2, 3)
    options = {"matched": False}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Two convolutions with norms."""
        size, middle = self.shape(node, inputs).size, middle_channels(node, inputs[0].channels)
        if middle is None:
            yield from conv_norm(inputs[0].channels, node.channels, node.kernel, size)
            return
        within, across = split(node.kernel)
        yield from conv_norm(inputs[0].channels, middle, within, strided(inputs[0].size, split(node.stride)[0]))
        yield from conv_norm(middle, node.channels, across, size)
