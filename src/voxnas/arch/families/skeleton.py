"""The skeleton of networks in stages: the fields of their records, and the parameters of their search spaces."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import Field

from voxnas.arch.parameters import ValueSet, integers, numbers
from voxnas.arch.stages import stage_fields, usable_stages
from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.plan import Plan
from voxnas.core.record import Activation, Norm, Positive, Triple

MOST_STAGES = 6
SKELETON: dict[str, ValueSet] = {
    "stages": integers(1, MOST_STAGES),
    "base_width": integers(2, 512),
    "growth": numbers(1, 4),
    "widest": numbers(1, 32),
    "norm": get_args(Norm),
    "activation": get_args(Activation),
}
"""Values of the parameters of a skeleton."""


class Skeleton(ArchitectureRecord):
    """A chain of stages, each with its width and stride.

    All triples are in tensor order (D, H, W), that is (z, y, x).
    """

    widths: tuple[Positive, ...] = Field(
        min_length=1, max_length=32, description="Channels of each stage; of each node of its cells."
    )
    strides: tuple[Triple, ...] = Field(description="Stride on entering each stage, (D, H, W); the first is usually 1.")
    kernels: tuple[Triple, ...] = Field(description="Kernel of each stage's operations, (D, H, W).")
    norm: Norm = "instance"
    activation: Activation = "leaky_relu"

    def check_entries(self, names: Sequence[str], missing: int = 0) -> None:
        """Refuse fields that do not have one entry for each stage but the `missing` last ones, with a ValueError."""
        stages = len(self.widths)
        for name in names:
            if len(getattr(self, name)) != stages - missing:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {stages} stages")


def skeleton_fields(values: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Fields of a record on the data of a plan, without stages that the plan's patch does not allow.

    Parameters
    ----------
    values : mapping of str to value
        Values of the targets of :data:`SKELETON`, and ``width.0`` ..: factors of the widths of single stages.
    plan : Plan
        The study's plan.
    """
    stages = min(int(values["stages"]), usable_stages(plan))
    widths = [
        values["base_width"] * min(values["growth"] ** i, values["widest"]) * values.get(f"width.{i}", 1)
        for i in range(stages)
    ]
    return {
        **stage_fields(plan, stages),
        "widths": [max(2, 2 * round(width / 2)) for width in widths],
        "norm": values["norm"],
        "activation": values["activation"],
    }


def skeleton_values(architecture: Skeleton) -> dict[str, Any]:
    """The inverse of :func:`skeleton_fields` without the factors of single stages."""
    widths = architecture.widths
    return {
        "stages": len(widths),
        "base_width": widths[0],
        "growth": widths[1] / widths[0] if len(widths) > 1 else 2.0,
        "widest": widths[-1] / widths[0],
        "norm": architecture.norm,
        "activation": architecture.activation,
    }
