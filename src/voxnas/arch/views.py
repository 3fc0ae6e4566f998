"""What a network sees of a scan: the scan itself, or one of the views of a run.

The plan of a study of time series holds an entry for each view that is prepared: clips of volumes (T, D, H, W),
maps over time (D, H, W), series of an atlas's regions and their correlations. The last two are volumes with axes of
length 1, (1, 1, T) and (1, R, R), so that every network and cost model takes them as it takes a volume.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from voxnas.core.errors import UserError
from voxnas.core.record import ArchitectureRecord

if TYPE_CHECKING:
    from voxnas.arch.architecture import Architecture, Linear

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


def seen_as(architecture: AnyRecord, plan: Mapping[str, Any]) -> AnyRecord:
    """The architecture, reading what the plan is a view of."""
    view = plan.get("view")
    return architecture.model_copy(update={"view": view}) if view else architecture


def input_size(architecture: Architecture, plan: Mapping[str, Any]) -> tuple[int, ...]:
    """Size of one input of a network: (D, H, W), of a clip (T, D, H, W), of the linear baseline its coarse voxels."""
    seen = view_plan(plan, architecture.view)
    if architecture.family == "linear":
        return linear_size(architecture, seen)
    lead = (int(seen["frames"]),) if architecture.clips else ()
    return *lead, *map(int, seen["patch"])


def input_shape(architecture: Architecture, plan: Mapping[str, Any], batch: int) -> tuple[int, ...]:
    """Shape of a batch: (B, C, D, H, W), of clips (B, T, C, D, H, W); for the linear baseline before its averaging."""
    seen = view_plan(plan, architecture.view)
    lead = (int(seen["frames"]),) if architecture.clips or architecture.view == "clips" else ()
    return batch, *lead, architecture.in_channels, *map(int, seen["patch"])


def linear_size(architecture: Linear, plan: Mapping[str, Any]) -> tuple[int, int, int]:
    """Size (D, H, W) of what a linear model weighs of each channel, on inputs of a plan.

    The plan's patch down-sampled to the model's voxels, of clips as often as they have volumes; the pairs of regions;
    one value where it is the volume, or the last frame of series.
    """
    d, h, w = map(int, plan["patch"])
    if architecture.view == "connectivity":
        return 1, 1, w * (w - 1) // 2
    if architecture.view == "series" or architecture.features == "volume":
        return 1, 1, 1
    if architecture.voxel_mm:
        spacing = plan["spacing"][::-1]  # (x, y, z) to (D, H, W)
        sizes = zip((d, h, w), spacing, strict=True)
        d, h, w = (min(n, max(1, round(n * mm / architecture.voxel_mm))) for n, mm in sizes)
    return (int(plan["frames"]) if architecture.view == "clips" else 1) * d, h, w
