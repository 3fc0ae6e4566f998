"""Temporal shift: channels moved to the neighbouring frames (Lin et al. 2019, ICCV, section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


def shifted_channels(channels: int, share: float) -> int:
    """How many channels move each way: a share of them, at least one, and never more than half."""
    return min(max(1, int(channels * share)), channels // 2)


@primitive("time_shift")
class TimeShift(Primitive):
    """A share of the channels takes the values of the frame before, as many those of the frame after.

    It has no parameters and no multiply-adds; the spatial block behind it mixes the frames. Frames
    beyond the ends are 0. Options: `share` of the channels that moves each way; `causal`, by which
    only the past is seen (the paper's online model). One channel alone stays where it is.
    """

    block = False
    temporal = True
    options = {"share": 0.125, "causal": False}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A move."""
        size = inputs[0].size
        yield Layer("move", node.channels, node.channels, ones(len(size)), size, frames=inputs[0].frames)
