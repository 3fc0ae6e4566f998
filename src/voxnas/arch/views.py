"""What a network sees of a scan: the scan itself, or one of the views of a run.

The plan of a study of time series holds an entry for each view that is prepared: clips of volumes (T, D, H, W),
maps over time (D, H, W), series of an atlas's regions and their correlations. The last two are volumes with axes of
length 1, (1, 1, T) and (1, R, R), so that every network and cost model takes them as it takes a volume.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from voxnas.arch.families import expand, family_of
from voxnas.core.architecture import Architecture, ArchitectureRecord
from voxnas.core.errors import UserError

Plan = dict[str, Any]
AnyRecord = TypeVar("AnyRecord", bound=ArchitectureRecord)


def view_plan(plan: Mapping[str, Any], view: str) -> Plan:
    """The plan as a network of a view sees it: patch, channels, strides, kernels and spacing are the view's.

    Parameters
    ----------
    plan : mapping
        The study's plan.json.
    view : str
        ``clips``, ``maps``, ``series`` or ``connectivity``; empty: the plan's own.

    Raises
    ------
    UserError
        If the study does not prepare the view.
    """
    if not view:
        return dict(plan)
    views = plan.get("views", {})
    if view not in views:
        raise UserError(
            f"a network reads the view {view!r}, and the study prepares {', '.join(views) or 'volumes'}",
            "add it to clips.views" if views else "views are for studies of time series (data.suffix: bold)",
        )
    return {**plan, **views[view], "view": view}


def volume_plan(plan: Mapping[str, Any]) -> Plan:
    """The plan for a network that reads volumes: the first view that is none of clips, or the scans themselves."""
    return view_plan(plan, next((view for view in plan.get("views", {}) if view != "clips"), ""))


def with_view(architecture: AnyRecord, plan: Mapping[str, Any]) -> AnyRecord:
    """The architecture that reads the view of a plan."""
    view = plan.get("view")
    return architecture.model_copy(update={"view": view}) if view else architecture


def input_size(architecture: Architecture, plan: Mapping[str, Any]) -> tuple[int, ...]:
    """Size of one input of a network: (D, H, W), of a clip (T, D, H, W), of the linear baseline its coarse voxels."""
    return family_of(architecture).input_size(architecture, view_plan(plan, architecture.view))


def input_shape(architecture: Architecture, plan: Mapping[str, Any], batch: int) -> tuple[int, ...]:
    """Shape of a batch: (B, C, D, H, W), of clips (B, T, C, D, H, W); of a linear model before its averaging."""
    own = view_plan(plan, architecture.view)
    lead = (int(own["frames"]),) if architecture.view == "clips" or reads_clips(architecture) else ()
    return batch, *lead, architecture.in_channels, *map(int, own["patch"])


def reads_clips(architecture: Architecture) -> bool:
    """Whether the architecture is a network on clips, (B, T, C, D, H, W)."""
    return not family_of(architecture).fitted and expand(architecture).clip
