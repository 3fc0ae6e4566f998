"""What passes its input on: the identity, and the skip operation of cells (Liu et al. 2019, DARTS, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, Size, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, is_same, primitive


def half_channels(channels: int, stride: Size) -> tuple[int, ...]:
    """Split `channels` among the one or two pointwise convolutions of a skip between different shapes."""
    half = channels // 2
    return (channels,) if half == 0 or stride == ones(len(stride)) else (half, channels - half)


@primitive("identity")
class Identity(Primitive):
    """The input itself."""

    block = False


@primitive("skip")
class Skip(Primitive):
    """The identity where shapes agree, else the factorised reduction of DARTS.

    Two strided pointwise convolutions give half of the channels each, the second one voxel further along each axis
    that has a stride, so that they see different voxels; a norm follows. Without a stride one of them is enough.
    The activation that DARTS has before it is left out: what comes in has been activated.
    """

    sized = False

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """None, or pointwise convolutions and their norm."""
        if is_same(node, inputs):
            return
        size, one = self.shape(node, inputs).size, ones(len(node.stride))
        for channels in half_channels(node.channels, node.stride):
            yield Layer("conv", inputs[0].channels, channels, one, size)
        yield Layer("norm", node.channels, node.channels, one, size)
