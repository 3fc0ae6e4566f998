"""Input views of a network: the scan itself, or one of the views of a run.

The plan of a study of time series holds an entry for each view that is prepared: clips of volumes (T, D, H, W),
maps over time (D, H, W), series of an atlas's regions and their correlations. The last two are volumes with axes of
length 1, (1, 1, T) and (1, R, R), so that every network and cost model takes them as it takes a volume.
"""

from typing import TypeVar

from voxnas.arch.families import expand, family_of
from voxnas.arch.layers import Size
from voxnas.core.architecture import Architecture, ArchitectureRecord
from voxnas.core.plan import Plan

AnyRecord = TypeVar("AnyRecord", bound=ArchitectureRecord)


def with_view(architecture: AnyRecord, plan: Plan) -> AnyRecord:
    """The architecture that reads the view of a plan."""
    return architecture.model_copy(update={"view": plan.view}) if plan.view else architecture


def network_divisor(architecture: Architecture) -> Size | None:
    """Divisor of the input sizes of a network; None for models that are fitted in closed form."""
    return None if family_of(architecture).fitted else expand(architecture).divisor


def network_plan(architecture: Architecture, plan: Plan) -> Plan:
    """The plan of the view that a network reads, with the patch of the network."""
    return plan.for_view(architecture.view).for_divisor(network_divisor(architecture))


def input_size(architecture: Architecture, plan: Plan) -> tuple[int, ...]:
    """Size of one input of a network: (D, H, W), of a clip (T, D, H, W), of the linear baseline its coarse voxels."""
    return family_of(architecture).input_size(architecture, network_plan(architecture, plan))


def input_shape(architecture: Architecture, plan: Plan, batch: int) -> tuple[int, ...]:
    """Shape of a batch: (B, C, D, H, W), of clips (B, T, C, D, H, W); of a linear model before its averaging."""
    own = network_plan(architecture, plan)
    lead = (own.frames,) if architecture.view == "clips" or reads_clips(architecture) else ()
    return batch, *lead, architecture.in_channels, *own.patch


def reads_clips(architecture: Architecture) -> bool:
    """Whether the architecture is a network on clips, (B, T, C, D, H, W)."""
    return not family_of(architecture).fitted and expand(architecture).clip
