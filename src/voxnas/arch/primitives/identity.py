"""The identity, and the skip operation of cells (Liu et al. 2019, DARTS, section 3.1)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, Size, ones
from voxnas.arch.primitives.base import Follows, Node, Primitive, Shape, is_same, primitive


def half_channels(channels: int, stride: Size) -> tuple[int, ...]:
    """Split `channels` among the one or two pointwise convolutions of a skip between different shapes."""
    half = channels // 2
    return (channels,) if half == 0 or stride == ones(len(stride)) else (half, channels - half)


@primitive("identity")
class Identity(Follows):
    """The input itself."""

    block = False


@primitive("skip")
class Skip(Primitive):
    """The identity where shapes agree, else the factorised reduction of DARTS.

    Two strided pointwise convolutions compute half of the channels each; the second one is offset by one voxel along
    each strided axis, so that they see different voxels. A norm follows. Without a stride one convolution computes all
    channels. DARTS has an activation before the reduction; here it is left out, for the input is already activated.
    """

    sized = False
    ends_activated = False

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """None, or pointwise convolutions and their norm."""
        if is_same(node, inputs):
            return
        size, one = self.shape(node, inputs).size, ones(len(node.stride))
        for channels in half_channels(node.channels, node.stride):
            yield Layer("conv", inputs[0].channels, channels, one, size)
        yield Layer("norm", node.channels, node.channels, one, size)
