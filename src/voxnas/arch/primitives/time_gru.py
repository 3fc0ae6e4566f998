"""A gated recurrent unit over the frames (Cho et al. 2014, EMNLP, section 2.3)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


@primitive("time_gru")
class TimeGRU(Primitive):
    """One layer of gated recurrent units over the frames; the last state is the output.

    It is meant for the vectors behind global pooling; on maps it runs over the frames of each voxel. The gates are
    those of PyTorch, with two biases each.
    """

    block = False
    temporal = True
    ends_time = True

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Allow any channels."""

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One recurrent layer."""
        size, frames = inputs[0].size, inputs[0].frames
        yield Layer("recurrent", inputs[0].channels, node.channels, (1,), size, bias=True, frames=frames)
