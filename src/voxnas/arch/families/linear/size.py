"""How many values a linear model weighs."""

from __future__ import annotations

from voxnas.arch.families.linear.record import Linear
from voxnas.core.plan import Plan


def linear_size(architecture: Linear, plan: Plan) -> tuple[int, int, int]:
    """Size (D, H, W) of the weights of a linear model for each channel, on the inputs of a plan.

    The plan's patch down-sampled to the model's voxels, of clips as often as they have volumes; the pairs of regions;
    one value where it is the volume, or the last frame of series.
    """
    d, h, w = plan.patch
    if architecture.view == "connectivity":
        return 1, 1, w * (w - 1) // 2
    if architecture.view == "series" or architecture.features == "volume":
        return 1, 1, 1
    if architecture.voxel_mm:
        spacing = plan.spacing_dhw
        sizes = zip((d, h, w), spacing, strict=True)
        d, h, w = (min(n, max(1, round(n * mm / architecture.voxel_mm))) for n, mm in sizes)
    return (plan.frames if architecture.view == "clips" else 1) * d, h, w
