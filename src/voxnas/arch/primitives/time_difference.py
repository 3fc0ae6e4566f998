"""Temporal difference: a convolution that is computed only where frames change.

After Skip-Convolutions (Habibian et al. 2021, CVPR, section 3), DeltaCNN (Parger et al. 2022, CVPR, section 3) and
the Recurrent Residual Module (Pan et al. 2018, CVPR).
"""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, primitive


@primitive("time_difference")
class TimeDifference(Primitive):
    """A convolution of each frame in which voxels with small changes keep their earlier value.

    A voxel holds its value until one of its channels differs from the held value by more than `threshold`; then all its
    channels take their new values. The output is the convolution of the held frames, so errors do not accumulate, and a
    threshold of 0 gives the convolution of the frames themselves. Inference on a CPU computes the first frame in full,
    and of each later frame the tiles (`tile` voxels of the output along each axis) whose receptive field contains a
    changed voxel; the size of the tiles has no effect on the result. Training, and inference on a GPU, compute all
    tiles; the gradient passes the hold unchanged.

    The published methods propagate differences, whose rounding errors accumulate; here a tile is recomputed. They fold
    batch norm into the convolution; here the norm is computed over all frames of a clip, so that unchanged voxels stay
    equal after the norm and the next block of this kind can skip them too.

    The stated multiply-adds are an upper bound, for frames in which every voxel changes.
    """

    temporal = True
    stem = "time_difference"
    options = {"threshold": 0.0, "tile": 8}  # noqa: RUF012 - read only

    def uses_order(self, node: Node) -> bool:
        """Only with a threshold; without one `node` is a convolution of each frame."""
        return float(node.option("threshold")) > 0

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A convolution and its norm."""
        size, frames = self.shape(node, inputs).size, inputs[0].frames
        yield from conv_norm(inputs[0].channels, node.channels, node.kernel, size, frames=frames)
