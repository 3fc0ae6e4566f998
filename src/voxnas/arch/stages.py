"""The stages that the patch of a plan allows, and the fields that networks of stages take from the plan."""

from typing import Any

from voxnas.core.plan import Plan

SMALLEST_BOTTLENECK = 4  # voxels along each axis, as in nnU-Net


def usable_stages(plan: Plan, bottleneck: int = SMALLEST_BOTTLENECK) -> int:
    """Number of stages of the plan that a network on its patch can have.

    The patch must remain divisible by the strides, and each axis at least `bottleneck` voxels long, except along axes
    without a stride.
    """
    size, stages = list(plan.patch), 0
    for stride in plan.strides:
        if any(n % s or (s > 1 and n // s < bottleneck) for n, s in zip(size, stride, strict=True)):
            break
        size = [n // s for n, s in zip(size, stride, strict=True)]
        stages += 1
    return max(stages, 1)


def stage_fields(plan: Plan, stages: int) -> dict[str, Any]:
    """Channels in and out, and the strides and kernels of the first `stages` of a plan, as fields of a record."""
    return {
        "in_channels": plan.channels,
        "out_channels": plan.outputs,
        "strides": plan.strides[:stages],
        "kernels": plan.kernels[:stages],
    }
