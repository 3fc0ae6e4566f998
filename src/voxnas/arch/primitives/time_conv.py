"""Convolution along time: the temporal half of (3+1)D convolution (Tran et al. 2018, CVPR, section 3.5)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


@primitive("time_conv")
class TimeConv(Primitive):
    """A convolution over the frames of each voxel, with norm and activation; after a spatial block, (3+1)D.

    Options: `time_kernel` frames (odd); `time_stride`; with `causal` a frame depends on earlier frames only. The paper
    has batch norm; here the norm is computed over all frames of a clip, so that differences between frames remain.
    """

    block = False
    temporal = True
    options = {"time_kernel": 3, "time_stride": 1, "causal": False}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Allow any channels; refuse a stride in space and an even kernel in time."""
        if node.stride != ones(dims):
            raise ValueError(f"{self.name} has no stride in space; its option time_stride is one in time")
        if int(node.option("time_kernel")) % 2 == 0:
            raise ValueError(f"{self.name}: time_kernel = {node.option('time_kernel')} is not odd")

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """The size of the input, and its frames divided by the stride in time."""
        return Shape(node.channels, inputs[0].size, -(-inputs[0].frames // int(node.option("time_stride"))))

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A convolution and its norm."""
        kernel = (int(node.option("time_kernel")), *ones(len(inputs[0].size)))
        size, frames = inputs[0].size, self.shape(node, inputs).frames
        yield Layer("conv", inputs[0].channels, node.channels, kernel, size, frames=frames)
        yield Layer("norm", node.channels, node.channels, ones(len(size)), size, frames=frames)
