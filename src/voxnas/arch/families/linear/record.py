"""Record of a linear model."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from voxnas.core.architecture import ArchitectureRecord

MATRICES = ("series", "connectivity")  # views that have regions, and no voxels


class Linear(ArchitectureRecord):
    """A linear model with a choice of regularisation: a baseline on the down-sampled voxels, or on a view of a run.

    Of clips it weighs the voxels of every volume, of series the regions in the last frame, of correlations each
    pair of regions.
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

    @model_validator(mode="before")
    @classmethod
    def _neutral_voxels(cls, data: Any) -> Any:
        # A choice without effect is set to its neutral value.
        if isinstance(data, dict) and (data.get("features") == "volume" or data.get("view") in MATRICES):
            data = {name: value for name, value in data.items() if name != "voxel_mm"}
        return data
