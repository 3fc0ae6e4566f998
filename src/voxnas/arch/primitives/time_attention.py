"""Attention over time: each voxel over its frames (Bertasius et al. 2021, ICML, "divided" attention of section 3)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


@primitive("time_attention")
class TimeAttention(Primitive):
    """Norm, multi-head attention of each voxel over its frames, projection, and a skip.

    The number of heads is the largest divisor of the channels up to the option `heads`. Differences from the paper:
    positions in time are sinusoids (Vaswani et al. 2017, section 3.5), so that a clip may have any length; the norm is
    the norm of the network, over a clip (paper: layer norm); the spatial block takes the place of the attention over
    space and of the perceptron.
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
