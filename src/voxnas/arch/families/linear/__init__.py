"""Linear models, which are fitted in closed form with a choice of regularisation."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Annotated, Any, Literal

from pydantic import Field

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.description import Description, Stage, channels_of
from voxnas.arch.layers import Layer, ones
from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.plan import Plan

MATRICES = ("series", "connectivity")  # views of regions, without voxels


class Linear(ArchitectureRecord):
    """A linear model with a choice of regularisation: a baseline on the down-sampled voxels, or on a view of a run.

    Its features are the voxels of all volumes of a clip, the regions in the last frame of series, or the pairs of
    regions of a correlation matrix.
    """

    family: Literal["linear"] = "linear"
    voxel_mm: Annotated[float, Field(ge=0)] = Field(8.0, description="Size to which voxels are averaged; 0: none.")
    model: Literal["auto", "ridge", "logistic", "svm"] = Field(
        "auto",
        exclude_if=lambda model: model == "auto",
        description="`auto`: logistic regression for classes, ridge regression for values.",
    )
    features: Literal["values", "volume"] = Field(
        "values",
        exclude_if=lambda features: features == "values",
        description="`volume`: the number of non-zero voxels alone.",
    )

    @classmethod
    def neutral(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return `data` without the size of voxels where voxels are not the features."""
        if data.get("features") == "volume" or data.get("view") in MATRICES:
            data.pop("voxel_mm", None)
        return data


@register
class LinearFamily(Family[Linear]):
    """Ridge, logistic and support vector models on coarse voxels or on a view of a run."""

    record = Linear
    fitted = True

    def layers(self, architecture: Linear, size: Sequence[int]) -> Iterator[Layer]:
        """Yield one weight for each channel, each voxel of `size` and each output."""
        one = ones(len(size))
        yield Layer("linear", architecture.in_channels * prod(size), architecture.out_channels, one, one, bias=True)

    def input_size(self, architecture: Linear, plan: Plan) -> tuple[int, int, int]:
        """Size (D, H, W) of the weights for each channel, on the inputs of a plan.

        This is the patch of the plan, down-sampled to the voxels of the model and, for clips, multiplied by the number
        of volumes; the number of pairs of regions; or 1 for the brain volume and for the last frame of series.
        """
        d, h, w = plan.patch
        if architecture.view == "connectivity":
            return 1, 1, w * (w - 1) // 2
        if architecture.view == "series" or architecture.features == "volume":
            return 1, 1, 1
        if architecture.voxel_mm:
            sizes = zip(plan.patch, plan.spacing_dhw, strict=True)
            d, h, w = (min(n, max(1, round(n * mm / architecture.voxel_mm))) for n, mm in sizes)
        return (plan.frames if architecture.view == "clips" else 1) * d, h, w

    def describe(self, architecture: Linear, size: Sequence[int]) -> Description:
        """Describe the model as one box with the size of its voxels; `size` has no effect."""
        box = Stage("linear", 0, architecture.out_channels, 1, size=f"voxels of {architecture.voxel_mm:g} mm")
        return Description((box,), channels_of(architecture))
