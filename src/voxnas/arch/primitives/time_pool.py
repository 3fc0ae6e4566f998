"""Pooling over time: the mean or the maximum of each voxel over its frames."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


class _TimePool(Primitive):
    block = False
    temporal = True
    ends_time = True

    def uses_order(self, node: Node) -> bool:
        """Means and maxima do not depend on the order of the frames, at no `node`."""
        return False

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One pooling layer."""
        yield Layer("pool", node.channels, node.channels, (inputs[0].frames,), inputs[0].size)


@primitive("time_mean")
class TimeMean(_TimePool):
    """Mean over the frames."""


@primitive("time_max")
class TimeMax(_TimePool):
    """Maximum over the frames."""

    keeps_positions = True
