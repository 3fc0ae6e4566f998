"""Record of the skeleton in which cells are stacked."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from voxnas.arch.families.skeleton import Skeleton
from voxnas.core.record import Repeats


class Stacked(Skeleton):
    """A chain of stages of cells.

    A kernel is 1 along axes where the operations of a stage see one voxel, else 3.
    """

    cells: tuple[Repeats, ...] = Field(description="Cells of each stage; a single number applies to all stages.")
    decoder: bool = Field(description="Decoder for segmentation; without it the output is one vector per sample.")
    deep_supervision: bool = Field(False, description="Also score the outputs of the lower decoder stages.")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="Before the linear layer without a decoder.")

    @classmethod
    def neutral(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return `data` with the cells of each stage, without a head that the network does not have."""
        stages = len(data.get("widths", ()))
        if isinstance(data.get("cells"), int):
            data["cells"] = [data["cells"]] * stages
        # As in a U-Net, all decoder outputs but the lowest are supervised.
        if not data.get("decoder") or stages <= 3:
            data.pop("deep_supervision", None)
        if data.get("decoder"):
            data.pop("dropout", None)
        return data

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        self.check_entries(("cells", "strides", "kernels"))
        if any(k not in (1, 3) for kernel in self.kernels for k in kernel):
            raise ValueError("kernels must be 1 or 3; an operation with another has it in its name")
        if self.decoder and self.strides[0] != (1, 1, 1):
            raise ValueError("strides must begin with 1 1 1, for the output has the input's size")
        return self
