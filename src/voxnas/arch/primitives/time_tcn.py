"""A temporal convolutional network over the frames (Bai et al. 2018, arXiv:1803.01271, section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


@primitive("time_tcn")
class TimeTCN(Primitive):
    """Residual blocks of two causal convolutions, dilated by 1, 2, 4 ..; the last frame's output is kept.

    As published: weight norm, and a projection on a skip whose channels differ. The activation is the network's in
    place of ReLU, and the dropout is left to the linear layer behind. Options: `time_kernel` frames and `levels`,
    the number of blocks. The last frame sees 1 + 2 (time_kernel - 1) (2^levels - 1) frames, 29 by default. Meant
    for the vectors behind global pooling.
    """

    block = False
    temporal = True
    ends_time = True
    options = {"time_kernel": 3, "levels": 3}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Any channels will do."""

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """One frame."""
        return Shape(node.channels, inputs[0].size)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Two convolutions a level with the lengths of their weights, and the skips."""
        size, frames = inputs[0].size, inputs[0].frames
        one = ones(len(size))
        kernel = (int(node.option("time_kernel")), *one)
        given, kept = inputs[0].channels, node.channels
        for _ in range(int(node.option("levels"))):
            for channels in (given, kept):
                yield Layer("conv", channels, kept, kernel, size, bias=True, frames=frames)
                yield Layer("parameter", kept, kept, one, size)
            if given != kept:
                yield Layer("conv", given, kept, one, size, bias=True, frames=frames)
            yield Layer("move", kept, kept, one, size, frames=frames)
            given = kept
