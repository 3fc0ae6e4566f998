"""Pooling over time: the mean or the largest value of each voxel's frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


class _TimePool(Primitive):
    block = False
    temporal = True
    ends_time = True

    def uses_order(self, node: Node) -> bool:
        """A mean and a maximum do not."""
        return False

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """One frame."""
        return Shape(node.channels, inputs[0].size)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One pooling layer."""
        yield Layer("pool", node.channels, node.channels, (inputs[0].frames,), inputs[0].size)


@primitive("time_mean")
class TimeMean(_TimePool):
    """Mean over the frames."""


@primitive("time_max")
class TimeMax(_TimePool):
    """Largest value of the frames."""

    keeps_positions = True
