"""Number of stages that the patch of a plan allows."""

from voxnas.core.plan import Plan

SMALLEST_BOTTLENECK = 4  # voxels along each axis, as in nnU-Net


def usable_stages(plan: Plan, bottleneck: int = SMALLEST_BOTTLENECK) -> int:
    """Number of stages of the plan that a network on its patch can have.

    The patch must stay divisible by the strides, and its smallest axis at least `bottleneck`
    voxels long (never counting an axis that was shorter from the start).
    """
    size, stages = list(plan.patch), 0
    for stride in plan.strides:
        if any(n % s or (s > 1 and n // s < bottleneck) for n, s in zip(size, stride, strict=True)):
            break
        size = [n // s for n, s in zip(size, stride, strict=True)]
        stages += 1
    return max(stages, 1)
