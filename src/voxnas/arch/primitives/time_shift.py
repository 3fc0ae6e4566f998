"""Temporal shift: channels moved to the neighbouring frames (Lin et al. 2019, ICCV, section 3)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


def shifted_channels(channels: int, share: float) -> int:
    """Number of `channels` that are shifted each way: a `share`, at least one and at most half."""
    return min(max(1, int(channels * share)), channels // 2)


@primitive("time_shift")
class TimeShift(Primitive):
    """A share of the channels takes the values of the previous frame, an equal share those of the next frame.

    The shift has no parameters and no multiply-adds; the spatial block behind it mixes the frames. Frames beyond the
    ends are 0. Options: the `share` of the channels that is shifted each way; `causal` for shifts from the past only
    (the online model of the paper). A single channel is not shifted.
    """

    block = False
    temporal = True
    options = {"share": 0.125, "causal": False}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A move."""
        size = inputs[0].size
        yield Layer("move", node.channels, node.channels, ones(len(size)), size, frames=inputs[0].frames)
