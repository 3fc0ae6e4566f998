"""Record of a supernet of stacked cells."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from voxnas.arch.families.stacked.cell import parse_operation
from voxnas.arch.families.stacked.record import Stacked
from voxnas.core.record import Positive


class MixedCells(Stacked):
    """Stacked cells in which each node sums all operations on all earlier values."""

    family: Literal["supernet"] = "supernet"
    nodes: Positive = Field(description="Nodes of each cell.")
    operations: tuple[str, ...] = Field(min_length=2, description="Operations of each edge, in declared order.")

    partial: Positive = Field(
        1,
        description="Operations take one in so many channels; the others bypass them (PC-DARTS, Xu et al. 2020, ICLR).",
    )

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if any(width % self.partial for width in self.widths):
            raise ValueError(f"partial = {self.partial} does not divide the widths {list(self.widths)}")
        return self

    @field_validator("operations")
    @classmethod
    def _known(cls, operations: tuple[str, ...]) -> tuple[str, ...]:
        for name in operations:
            parse_operation(name)
        if len(set(operations)) < len(operations):
            raise ValueError(f"operations = {list(operations)} has an operation twice")
        return operations
