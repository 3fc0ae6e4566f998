"""A temporal convolutional network over the frames (Bai et al. 2018, arXiv:1803.01271, section 3)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


@primitive("time_tcn")
class TimeTCN(Primitive):
    """Residual blocks of two causal convolutions, dilated by 1, 2, 4 ..; the output is that of the last frame.

    As published, the convolutions have weight norm, and a skip between different channels has a projection. The
    activation is the activation of the network (paper: ReLU), and dropout is left to the linear layer behind. Options:
    `time_kernel` frames, and `levels`, the number of blocks. The receptive field of the last frame is
    1 + 2 (time_kernel - 1) (2^levels - 1) frames, 29 by default. It is meant for the vectors behind global pooling.
    """

    block = False
    temporal = True
    ends_time = True
    options = {"time_kernel": 3, "levels": 3}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Allow any channels."""

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Two convolutions a level with the norms of their weights, and the skips."""
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
