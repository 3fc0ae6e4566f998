"""Attention over time: each voxel over its frames (Bertasius et al. 2021, ICML, "divided" attention of section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, divisor_up_to, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


def attention_heads(channels: int, heads: int) -> int:
    """The largest number of heads up to `heads` that divides the channels."""
    return divisor_up_to(channels, heads)


@primitive("time_attention")
class TimeAttention(Primitive):
    """Norm, multi-head attention of each voxel over its frames, projection, and a skip.

    What differs from the paper: positions in time are sinusoids (Vaswani et al. 2017, section 3.5), so that a clip may
    have any length, and the norm is the network's, over a clip, where the paper has a layer norm. The paper's
    attention over space and its perceptron are what the spatial block stands for.
    """

    block = False
    temporal = True
    options = {"heads": 4}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Norm, the three projections in one, the attention, the projection back, the skip."""
        channels, size, frames = node.channels, inputs[0].size, inputs[0].frames
        one = ones(len(size))
        yield Layer("norm", channels, channels, one, size, frames=frames)
        yield Layer("conv", channels, 3 * channels, one, size, frames=frames)
        yield Layer("attention", channels, channels, (frames,), size, frames=frames)
        yield Layer("conv", channels, channels, one, size, bias=True, frames=frames)
        yield Layer("move", channels, channels, one, size, frames=frames)
