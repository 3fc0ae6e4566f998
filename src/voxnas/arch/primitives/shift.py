"""Shift of channels, free of multiply-adds, and a pointwise convolution (Wu et al. 2018, CVPR, section 3)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

from voxnas.arch.layers import Layer, Size, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, is_same, primitive


def offsets(dims: int, diagonals: bool) -> list[Size]:
    """Offsets in `dims` dimensions: zero, then one voxel along each axis, and with `diagonals` along several axes."""
    near = product((0, -1, 1), repeat=dims)
    return sorted((o for o in near if diagonals or sum(map(abs, o)) <= 1), key=lambda o: sum(map(abs, o)))


def channel_groups(channels: int, count: int) -> list[tuple[int, int]]:
    """First and last channel (exclusive) of `count` groups of `channels`, as equal as possible; some may be empty."""
    edges = [channels * i // count for i in range(count + 1)]
    return list(pairwise(edges))


@primitive("shift")
class Shift(Primitive):
    """Groups of channels shifted by one voxel, each in its own direction, then a pointwise convolution.

    Three dimensions have 7 directions (the centre and the faces) or, with `diagonals`, 27. The default is 7: 27 take as
    long, but leave directions of narrow layers without a channel. Voxels from outside are 0. The input is added where
    shapes agree, as in the paper, whose module has a further pointwise convolution in front. Channels are not shifted
    along axes where the kernel is 1; otherwise the kernel has no effect.
    """

    sized = False
    options = {"diagonals": False}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """The shift, a pointwise convolution with its norm, and the skip."""
        given, size, one = inputs[0].channels, self.shape(node, inputs).size, ones(len(node.stride))
        yield Layer("move", given, given, one, size)
        yield from conv_norm(given, node.channels, one, size)
        if is_same(node, inputs):
            yield Layer("move", node.channels, node.channels, one, size)
