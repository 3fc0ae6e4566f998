"""Temporal difference: a convolution that computes only what changed between frames.

After Skip-Convolutions (Habibian et al. 2021, CVPR, section 3), DeltaCNN (Parger et al. 2022, CVPR, section 3) and
the Recurrent Residual Module (Pan et al. 2018, CVPR).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, primitive


@primitive("time_difference")
class TimeDifference(Primitive):
    """A convolution of each frame in which voxels that hardly changed keep their earlier value.

    A voxel is held at its last value until one of its channels differs from that by more than `threshold`; then
    all of its channels take their new values. The output is the convolution of the held frames: errors do not add
    up, and a threshold of 0 gives the convolution of the frames themselves. Inference computes the first frame in
    full and of later ones only the tiles (`tile` voxels of the output along each axis) that see a voxel that
    changed; the tiles have no effect on the result. Training computes all of it, and the gradient passes the hold
    unchanged; so does inference on a GPU.

    The published methods propagate differences, whose rounding errors add up; here a tile is computed anew. They fold
    batch norm into the convolution; here the norm takes all frames of a clip together, so that what
    did not change stays equal behind it and the next such block can skip it too.

    Stated multiply-adds are those of the worst case, in which everything changes.
    """

    temporal = True
    stem = "time_difference"
    options = {"threshold": 0.0, "tile": 8}  # noqa: RUF012 - read only

    def uses_order(self, node: Node) -> bool:
        """Without a threshold it is the convolution of each frame."""
        return float(node.option("threshold")) > 0

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A convolution and its norm."""
        size, frames = self.shape(node, inputs).size, inputs[0].frames
        yield from conv_norm(inputs[0].channels, node.channels, node.kernel, size, frames=frames)
