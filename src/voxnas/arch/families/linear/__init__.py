"""Linear models, which are fitted in closed form with a choice of regularisation."""

from collections.abc import Iterator, Sequence
from math import prod

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.description import Description, Stage, channels_of
from voxnas.arch.families.linear.record import Linear
from voxnas.arch.families.linear.size import linear_size
from voxnas.arch.layers import Layer, ones


@register
class LinearFamily(Family[Linear]):
    """Ridge, logistic and support vector models on coarse voxels or on a view of a run."""

    record = Linear
    fitted = True
    input_size = staticmethod(linear_size)

    def layers(self, architecture: Linear, size: Sequence[int]) -> Iterator[Layer]:
        """One weight for each channel, voxel and output."""
        one = ones(len(size))
        yield Layer("linear", architecture.in_channels * prod(size), architecture.out_channels, one, one, bias=True)

    def describe(self, architecture: Linear, size: Sequence[int]) -> Description:
        """One box, with the size of the voxels."""
        box = Stage("linear", 0, architecture.out_channels, 1, size=f"voxels of {architecture.voxel_mm:g} mm")
        return Description((box,), channels_of(architecture))
